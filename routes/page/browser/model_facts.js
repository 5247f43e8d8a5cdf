// A model's facts, in a few lines to read before its first run.
import { METHOD_OPTIONS } from "./method_options.js";

/** @import { Method, Model } from "./wire.d.ts" */

/**
 * Returns the facts, name -> value, as the page shows them.
 *
 * @param {Model} model
 * @returns {Record<string, string>}
 */
export function modelFacts(model) {
  const { id, title, pipeline_class, defaults, sizes, video, calibration, device } = model;
  const methods = /** @type {Method[]} */ (Object.keys(METHOD_OPTIONS))
    .filter((method) => method !== "calibrated" || calibration !== undefined)
    .map((method) => METHOD_OPTIONS[method].label);
  return {
    Model: [id, title ?? pipeline_class].filter(Boolean).join(", "),
    ...(sizes && { Size: describeSizes(sizes) }),
    ...(video && defaults?.num_frames !== undefined && {
      Length: `${defaults.num_frames} frames, ${defaults.fps} a second; at most ${video.max_frames}`,
    }),
    ...(defaults &&
      { Steps: `${defaults.steps}, ${METHOD_OPTIONS[defaults.spectrum.method].label} by default` }),
    Methods: methods.join(", "),
    "Starts from": beginnings(model),
    ...(device !== undefined && { Device: device }),
  };
}

/**
 * What a run of the model can begin with.
 *
 * @param {Pick<Model, "video" | "start_image" | "references">} model
 */
function beginnings({ video, start_image, references }) {
  if (references) {
    const images = references.max === 1
      ? "one image to look at"
      : `up to ${references.max} images to look at`;
    return references.min === 0 ? `a prompt, or a prompt and ${images}` : `a prompt and ${images}`;
  }
  if (video?.first_frame) {
    const last = video.last_frame ? ", and a last one" : "";
    return video.first_frame === "required"
      ? `a prompt and a first frame${last}`
      : `a prompt, or a prompt and a first frame${last}`;
  }
  return start_image ? "a prompt, or a prompt and an image" : "a prompt";
}

/** @param {NonNullable<Model["sizes"]>} sizes */
function describeSizes({ native, smallest_side, largest_side, multiple }) {
  const size = native.replace("x", " × ");
  return smallest_side === largest_side
    ? size
    : `${size}; sides of ${smallest_side} to ${largest_side}, multiples of ${multiple}`;
}
