// Classifier-free guidance: https://arxiv.org/abs/2207.12598.
import type { GuideRows } from "./denoiser_shape.ts";
import { rescaleGuidance } from "./rescale_guidance.ts";

/**
 * Returns the guidance negative + scale * (prompt - negative) of the rows (prompt, negative prompt). It is a
 * list of factors for the rows, or a function of the rows if their spread is rescaled.
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

/**
 * Computes negative + scale * (prompt - negative), [n], from the
 * rows (prompt, negative prompt), [2, n], as diffusers does.
 */
export function guideBranches(output: Float32Array, scale: number): Float32Array<ArrayBuffer> {
  const length = output.length / 2;
  const guided = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    const negative = output[length + i]!;
    guided[i] = negative + scale * (output[i]! - negative);
  }
  return guided;
}
