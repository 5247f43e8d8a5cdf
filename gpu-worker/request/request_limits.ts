// The limits of every request for a model.
import type { ModelDescription } from "./model_description.ts";

export interface RequestLimits {
  /** Width and height must be whole multiples of this many pixels. */
  sizeMultiple: number;
  /** Longest side in pixels. */
  maxSide: number;
  /** Largest width * height. */
  maxPixels: number;
  /** Longest T5 prompt in tokens. */
  maxSequenceLength: number;
}

/** Longest side in pixels for every family. A checkpoint's rules may lower it. */
export const MAX_PIXELS_PER_SIDE = 4096;
/**
 * Largest size, in pictures of the default size. One full pass over more may occupy the device for minutes.
 */
export const MAX_PICTURES = 4;

/** Returns a model's limits, including those that its checkpoint leaves open. */
export function requestLimits({ defaults, rules }: ModelDescription): RequestLimits {
  const { sizeMultiple, maxSide = MAX_PIXELS_PER_SIDE, maxSequenceLength } = rules;
  const { maxPixels = MAX_PICTURES * defaults.width * defaults.height } = defaults;
  return { sizeMultiple, maxSide, maxPixels, maxSequenceLength };
}
