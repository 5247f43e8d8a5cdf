// Guidance rescale: "Common Diffusion Noise Schedules and Sample Steps are Flawed" (arXiv 2305.08891),
// section 3.4; diffusers' rescale_noise_cfg.

export interface RescaleGuidanceOptions {
  /** The output for the prompt without guidance, [n]. */
  conditional: Float32Array;
  /** Weight of the rescaled output, 0..1. */
  rescale: number;
}

/**
 * Reduces, in place, the spread of `guided` [n], which
 * guidance has widened, towards the spread of `conditional`.
 */
export function rescaleGuidance(
  guided: Float32Array<ArrayBuffer>,
  { conditional, rescale }: RescaleGuidanceOptions,
): Float32Array<ArrayBuffer> {
  const ratio = standardDeviation(conditional) / standardDeviation(guided);
  for (let i = 0; i < guided.length; i++) {
    guided[i] = rescale * guided[i]! * ratio + (1 - rescale) * guided[i]!;
  }
  return guided;
}

/** Returns the sample standard deviation (divisor n - 1), as torch.std does. */
function standardDeviation(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  const mean = sum / values.length;
  let squares = 0;
  for (const value of values) squares += (value - mean) ** 2;
  return Math.sqrt(squares / (values.length - 1));
}
