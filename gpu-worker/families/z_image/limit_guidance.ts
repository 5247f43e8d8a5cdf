// Keeps guidance from lengthening the output: ZImagePipeline's cfg_normalization.
import { vectorLength } from "../../denoiser/vector_length.ts";

export interface LimitGuidanceOptions {
  /** The branches' outputs, prompt first. */
  outputs: Float32Array;
  /** Longest that `guided` may be, as a multiple of the prompt's output. 0 is no limit. */
  limit: number;
}

/** Scales `guided` [n] down, in place, to the longest that is allowed. */
export function limitGuidance(
  guided: Float32Array<ArrayBuffer>,
  { outputs, limit }: LimitGuidanceOptions,
): Float32Array<ArrayBuffer> {
  if (limit === 0) return guided;
  const longest = limit * vectorLength(outputs.subarray(0, guided.length));
  const length = vectorLength(guided);
  if (length <= longest) return guided;
  const factor = longest / length;
  for (let i = 0; i < guided.length; i++) guided[i]! *= factor;
  return guided;
}
