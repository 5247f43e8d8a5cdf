// Two finished runs on the same seed: the amplified difference of their pictures, PSNR, and what each cost.
import { amplifyDifference, measureDifference } from "./image_difference.js";
import { METHOD_OPTIONS } from "./method_options.js";
import { showFacts } from "./show_facts.js";
import { fromTemplate, slot } from "./slots.js";

/** @import { Receipt } from "./wire.d.ts" */

/** @typedef {{ picture: Blob, receipt: Receipt }} FinishedRun */

/**
 * @param {FinishedRun} a
 * @param {FinishedRun} b
 * @returns {Promise<HTMLElement>}
 */
export async function comparisonView(a, b) {
  const element = fromTemplate("comparison-template");
  const canvas = slot(element, "canvas", HTMLCanvasElement);
  const slider = slot(element, "slider", HTMLInputElement);
  const [first, second] = await Promise.all([pixels(a.picture), pixels(b.picture)]);
  canvas.width = first.width;
  canvas.height = first.height;

  const { psnr, largest } = measureDifference(first, second);
  const names = `${METHOD_OPTIONS[a.receipt.method].label} and ${METHOD_OPTIONS[b.receipt.method].label}`;
  canvas.setAttribute("aria-label", `Where the pictures of ${names} differ`);
  showFacts(slot(element, "figures", HTMLElement), {
    PSNR: psnr === Infinity ? "equal" : `${psnr.toFixed(1)} dB`,
    "Largest, of 255": String(largest),
    ...speed(a.receipt, b.receipt),
  });
  slot(element, "note", HTMLElement).textContent =
    `Absolute difference of each pixel between ${names}, seed ${a.receipt.seed}. Black is equal.`;

  slider.addEventListener("input", draw);
  draw();
  return element;

  function draw() {
    const gain = 2 ** slider.valueAsNumber;
    slot(element, "gain", HTMLOutputElement).value = `${gain}×`;
    slider.setAttribute("aria-valuetext", `${gain} times`);
    const image = new ImageData(amplifyDifference(first, second, { gain }), first.width, first.height);
    canvas.getContext("2d")?.putImageData(image, 0, 0);
  }
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
  const ratio = (slow.seconds.denoise / fast.seconds.denoise).toFixed(2);
  return { [`Denoising, ${METHOD_OPTIONS[fast.method].label}`]: `${ratio}× as fast` };
}

/** @param {Blob} picture */
async function pixels(picture) {
  // Untouched by colour management and alpha: the file's own numbers are compared.
  const bitmap = await createImageBitmap(picture, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  const context =
    /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}
