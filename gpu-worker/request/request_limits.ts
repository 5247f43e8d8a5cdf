// The numbers that bound every request for a model, whatever else it asks.
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

/** Of every family; a checkpoint's rules lower it. */
export const MAX_PIXELS_PER_SIDE = 4096;
/** One pass over more than this many of the default pictures may hold the device for minutes. */
export const MAX_PICTURES = 4;

/** Returns a model's limits, with those that its checkpoint leaves open. */
export function requestLimits({ defaults, rules }: ModelDescription): RequestLimits {
  const { sizeMultiple, maxSide = MAX_PIXELS_PER_SIDE, maxSequenceLength } = rules;
  const { maxPixels = MAX_PICTURES * defaults.width * defaults.height } = defaults;
  return { sizeMultiple, maxSide, maxPixels, maxSequenceLength };
}
