// The receipt of a finished picture: what was run, how long it took, how far the forecasts were off.
import { apiKey } from "./api_key.js";
import { curlCommand } from "./curl_command.js";
import { METHOD_OPTIONS, WINDOW } from "./method_options.js";
import { pictureName } from "./picture_name.js";
import { pictureSize } from "./picture_size.js";
import { showFacts } from "./show_facts.js";
import { slot } from "./slots.js";

/** @import { ImageRequest, Receipt } from "./wire.d.ts" */

const PARTS = /** @type {const} */ (["queue", "encode", "denoise", "decode"]);

/**
 * Fills the receipt part of a run.
 *
 * @param {HTMLElement} root
 * @param {{ request: ImageRequest, receipt: Receipt, picture: Blob, pictureUrl: string }} finished
 */
export function showReceipt(root, { request, receipt, picture, pictureUrl }) {
  const passes = receipt.full_steps.length;
  // Fewer than the request's where it started from an image.
  const steps = passes + receipt.forecast_steps.length;
  showFacts(slot(root, "figures", HTMLElement), {
    "Full passes": `${passes} of ${steps}`,
    "Speed-up limit": `${(steps / passes).toFixed(2)}×`,
    Seconds: receipt.seconds.total.toFixed(2),
  });
  showTimes(slot(root, "times", HTMLElement), receipt);
  showFacts(slot(root, "facts", HTMLElement), receiptFacts(receipt, { request, steps }));

  const download = slot(root, "download", HTMLAnchorElement);
  download.href = pictureUrl;
  download.download = pictureName({ request, receipt });
  const uses = /** @type {const} */ ({ "use": "use-picture", "use-control": "use-control-image" });
  for (const [name, event] of Object.entries(uses)) {
    const button = slot(root, name, HTMLButtonElement);
    button.onclick = () => {
      const detail = new File([picture], download.download, { type: picture.type });
      root.dispatchEvent(new CustomEvent(event, { detail, bubbles: true }));
    };
  }
  const label = slot(root, "curl-label", HTMLElement);
  slot(root, "curl", HTMLButtonElement).onclick = async () => {
    const command = curlCommand(request, { origin: location.origin, withKey: apiKey.value !== undefined });
    const copied = await navigator.clipboard.writeText(command).then(() => true, () => false);
    label.textContent = copied ? "Copied" : "Clipboard refused";
    setTimeout(() => label.textContent = "Copy as curl", 1600);
  };
  for (const part of root.querySelectorAll("[hidden]")) part.removeAttribute("hidden");
  // A video starts nothing.
  for (const name of Object.keys(uses)) {
    slot(root, name, HTMLButtonElement).hidden = picture.type.startsWith("video/");
  }
  slot(root, "reading", HTMLElement).hidden = true;
}

/**
 * @param {Receipt} receipt
 * @param {{ request: ImageRequest, steps: number }} options
 * @returns {Record<string, string>}
 */
function receiptFacts(receipt, { request: { image, references, last_frame }, steps }) {
  const isVideo = receipt.num_frames !== undefined;
  const errors = Object.entries(receipt.forecast_errors);
  const worst = errors.reduce((a, b) => (b[1] > a[1] ? b : a), ["", 0]);
  const { fallback, predicted_errors: predicted = {} } = receipt.calibration ?? {};
  const expected = predicted[worst[0]];
  return {
    Method: METHOD_OPTIONS[receipt.method].label,
    ...(describeOptions(receipt) && { Options: describeOptions(receipt) }),
    ...(errors.length > 0 && {
      "Forecast error": `largest ${percent(worst[1])}, at step ${worst[0]}` +
        (expected === undefined ? "" : ` (predicted ${percent(expected)})`),
    }),
    ...(fallback !== undefined && { "Published window": fallback }),
    "Full passes at": receipt.method === "none" ? "every step" : receipt.full_steps.join(" "),
    ...(receipt.note !== undefined && { Forecasts: receipt.note }),
    Guidance: `${receipt.options.guidance_scale}, true CFG ${receipt.options.true_cfg_scale}`,
    ...(references && { "Looked at": references.map(({ name }) => name).join(", ") }),
    ...(image && isVideo && { "First frame": image.name }),
    ...(last_frame && { "Last frame": last_frame.name }),
    ...(image && !isVideo && {
      "Begun from": `${image.name}, strength ${receipt.options.strength}: ${steps} of ${receipt.steps} steps`,
    }),
    ...(receipt.num_frames !== undefined && {
      Length: `${receipt.num_frames} frames, ${receipt.fps} a second`,
    }),
    Seed: String(receipt.seed),
    Size: describeSize(receipt),
    Model: `${receipt.model}, ${receipt.model_digest.slice(0, 12)}`,
    Cache: receipt.cache === "miss"
      ? "miss"
      : `${receipt.cache}; the times are those of the run that made it`,
    Worker: receipt.worker,
    ...(receipt.warnings && { Notes: receipt.warnings.join(" ") }),
  };
}

/** @param {Receipt} receipt */
function describeSize(receipt) {
  const { width, height } = pictureSize(receipt);
  const part = receipt.options.padding_mask_crop === undefined
    ? ""
    : `, a part of it drawn in ${receipt.width} × ${receipt.height}`;
  return `${width} × ${height}${part}`;
}

/**
 * The options that had a say: a plan takes the place of the window.
 *
 * @param {Receipt} receipt
 */
function describeOptions({ method, options }) {
  return METHOD_OPTIONS[method].options.filter((name) => !(options.passes > 0 && WINDOW.includes(name)))
    .map((name) => `${name}\u00a0${options[name]}`).join(", ");
}

/**
 * A bar of where the time went, and the same in words.
 *
 * @param {HTMLElement} root
 * @param {Receipt} receipt
 */
function showTimes(root, { seconds }) {
  const bar = document.createElement("div");
  bar.className = "times-bar";
  bar.setAttribute("aria-hidden", "true");
  const words = document.createElement("p");
  for (const part of PARTS) {
    const length = document.createElement("i");
    length.dataset["part"] = part;
    length.style.flexGrow = String(Math.max(seconds[part], 0) / seconds.total);
    bar.append(length);
    const word = document.createElement("span");
    word.dataset["part"] = part;
    word.textContent = `${part} ${seconds[part].toFixed(2)} s`;
    words.append(word, " ");
  }
  root.replaceChildren(bar, words);
}

/** @param {number} fraction */
function percent(fraction) {
  return `${(fraction * 100).toPrecision(2)} %`;
}
