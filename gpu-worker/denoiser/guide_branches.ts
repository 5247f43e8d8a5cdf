// Classifier-free guidance: https://arxiv.org/abs/2207.12598.
import type { GuideRows } from "./denoiser_shape.ts";
import { rescaleGuidance } from "./rescale_guidance.ts";

/**
 * Returns guidance of the rows prompt and negative prompt, negative + scale * (prompt - negative): as factors of the rows, or,
 * where its spread is rescaled, as a function of them.
 */
export function guidedRows(
  branches: number,
  { scale, rescale }: { scale: number; rescale: number },
): readonly number[] | GuideRows {
  if (branches === 1) return [1];
  if (rescale === 0) return [scale, 1 - scale];
  return (output) => {
    const guided = guideBranches(output, scale);
    return rescaleGuidance(guided, { conditional: output.subarray(0, guided.length), rescale });
  };
}

/** Rows (prompt, negative prompt), [2, n] -> negative + scale * (prompt - negative), [n], as diffusers computes it. */
export function guideBranches(output: Float32Array, scale: number): Float32Array<ArrayBuffer> {
  const length = output.length / 2;
  const guided = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    const negative = output[length + i]!;
    guided[i] = negative + scale * (output[i]! - negative);
  }
  return guided;
}
