// Two finished runs on the same seed in one frame: the first picture, the second, or
// their amplified difference.
import { amplifyDifference, measureDifference } from "./image_difference.js";
import { METHOD_OPTIONS } from "./method_options.js";
import { showFacts } from "./show_facts.js";
import { fromTemplate, slot } from "./slots.js";

/** @import { Receipt } from "./wire.d.ts" */

/** @typedef {{ picture: Blob, receipt: Receipt }} FinishedRun */

/**
 * Says why where the two cannot be compared. Never rejects.
 *
 * @param {FinishedRun} a
 * @param {FinishedRun} b
 * @returns {Promise<HTMLElement>}
 */
export async function comparisonView(a, b) {
  try {
    return await compare(a, b);
  } catch (error) {
    const element = fromTemplate("comparison-error-template");
    const reason = error instanceof Error ? error.message : String(error);
    slot(element, "error", HTMLElement).textContent = `The two cannot be compared: ${reason}`;
    return element;
  }
}

/**
 * @param {FinishedRun} a
 * @param {FinishedRun} b
 * @returns {Promise<HTMLElement>}
 */
async function compare(a, b) {
  const element = fromTemplate("comparison-template");
  const canvas = slot(element, "canvas", HTMLCanvasElement);
  const slider = slot(element, "slider", HTMLInputElement);
  const shown = slot(element, "shown", HTMLElement);
  const [first, second] = await Promise.all([pixels(a.picture), pixels(b.picture)]);
  const { psnr, largest } = measureDifference(first, second);
  const names = distinctNames(a.receipt, b.receipt);

  slot(element, "first", HTMLElement).textContent = names.first;
  slot(element, "second", HTMLElement).textContent = names.second;
  slot(element, "note", HTMLElement).textContent = `The same seed, ${a.receipt.seed}${
    a.receipt.num_frames ? ", the middle frame" : ""
  }. The difference is absolute, for each pixel and colour: black is equal.`;
  showFacts(slot(element, "figures", HTMLElement), {
    PSNR: psnr === Infinity ? "equal" : `${psnr.toFixed(1)} dB`,
    "Largest, of 255": String(largest),
    ...speed(a.receipt, b.receipt),
  });
  canvas.width = first.width;
  canvas.height = first.height;
  // At first as bright as it gets without clipping.
  slider.valueAsNumber = Math.floor(Math.log2(255 / Math.max(largest, 1)));
  element.addEventListener("input", draw);
  draw();
  return element;

  function draw() {
    const choice = shown.querySelector("input:checked")?.getAttribute("value");
    const gain = 2 ** slider.valueAsNumber;
    slot(element, "gain", HTMLOutputElement).value = `${gain}×`;
    slot(element, "amplify", HTMLElement).hidden = choice !== "difference";
    canvas.getContext("2d")?.putImageData(
      choice === "first" ? first : choice === "second" ? second : difference(gain),
      0,
      0,
    );
    canvas.setAttribute(
      "aria-label",
      {
        first: `The picture of ${names.first}`,
        second: `The picture of ${names.second}`,
      }[choice ?? ""] ?? `Difference between the pictures of ${names.first} and ${names.second}`,
    );
  }

  /** @param {number} gain */
  function difference(gain) {
    return new ImageData(amplifyDifference(first, second, { gain }), first.width, first.height);
  }
}

/**
 * Methods by name; one method with two settings by its full passes.
 *
 * @param {Receipt} a
 * @param {Receipt} b
 */
function distinctNames(a, b) {
  const [first, second] = [METHOD_OPTIONS[a.method].label, METHOD_OPTIONS[b.method].label];
  if (first !== second) return { first, second };
  if (a.full_steps.length === b.full_steps.length) return { first: "First", second: "Second" };
  return { first: `${a.full_steps.length} passes`, second: `${b.full_steps.length} passes` };
}

/**
 * The slower denoising over the faster.
 *
 * @param {Receipt} a
 * @param {Receipt} b
 * @returns {Record<string, string>}
 */
function speed(a, b) {
  const [fast, slow] = a.seconds.denoise <= b.seconds.denoise ? [a, b] : [b, a];
  if (!(fast.seconds.denoise > 0)) return {};
  const names = distinctNames(fast, slow);
  return {
    [`Denoising, ${names.first}`]: `${(slow.seconds.denoise / fast.seconds.denoise).toFixed(2)}× as fast`,
  };
}

/** @param {Blob} picture */
async function pixels(picture) {
  const source = picture.type.startsWith("video/") ? await middleFrame(picture) : picture;
  // Untouched by colour management and alpha: the file's own numbers are compared.
  const bitmap = await createImageBitmap(source, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", {
    willReadFrequently: true,
  }));
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/** Longest wait for a video that is in memory already. */
const LOAD_MS = 20_000;

/**
 * The frame as the file has it, which is not quite what the model drew.
 *
 * @param {Blob} file
 * @returns {Promise<HTMLVideoElement>}
 * @throws {Error} for a file that the browser cannot play
 */
async function middleFrame(file) {
  const video = document.createElement("video");
  const url = URL.createObjectURL(file);
  const late = AbortSignal.timeout(LOAD_MS);
  /** @param {string} name @returns {Promise<void>} */
  const event = (name) =>
    new Promise((resolve, reject) => {
      const fail = () => reject(new Error(video.error?.message || "the browser does not load the video"));
      video.addEventListener(name, () => resolve(), { once: true });
      video.addEventListener("error", fail, { once: true });
      late.addEventListener("abort", fail, { once: true });
    });
  try {
    video.muted = true;
    // A video outside of the document loads nothing but its length unless it is told to.
    video.preload = "auto";
    video.src = url;
    await event("loadeddata");
    video.currentTime = video.duration / 2;
    await event("seeked");
    return video;
  } finally {
    URL.revokeObjectURL(url);
  }
}
