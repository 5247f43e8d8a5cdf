// A model's facts, in a few lines to read before its first run.
import { METHOD_OPTIONS } from "./method_options.js";

/** @import { Method, Model } from "./wire.d.ts" */

/**
 * @param {Model} model
 * @returns {Record<string, string>}
 */
export function modelFacts(
  { id, title, pipeline_class, defaults, sizes, video, start_image, calibration, device },
) {
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
    "Starts from": start_image ? "a prompt, or a prompt and an image" : "a prompt",
    ...(device !== undefined && { Device: device }),
  };
}

/** @param {NonNullable<Model["sizes"]>} sizes */
function describeSizes({ native, smallest_side, largest_side, multiple }) {
  const size = native.replace("x", " × ");
  return smallest_side === largest_side
    ? size
    : `${size}; sides of ${smallest_side} to ${largest_side}, multiples of ${multiple}`;
}
