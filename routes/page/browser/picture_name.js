// The name of a finished picture's file: its prompt, seed and method.

/** @import { ImageRequest, Receipt } from "./wire.d.ts" */

/**
 * Returns the name under which a picture is saved.
 *
 * @param {{ request: Pick<ImageRequest, "prompt" | "output_format">, receipt: Pick<Receipt,
 * "seed" | "method"> }} picture
 * @returns {string}
 */
export function pictureName({ request: { prompt, output_format }, receipt: { seed, method } }) {
  const words = prompt.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 60);
  return `${words || "picture"}-${seed}-${method}.${output_format}`;
}
