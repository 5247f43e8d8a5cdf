// The variables in which DPM-Solver and UniPC step: latents = alpha * original + sigma * noise, and lambda
// = log(alpha / sigma). In float64, where diffusers has float32: its steps in lambda are differences of
// nearly equal logarithms.

import type { NoiseLevel } from "./schedule/noise_level.ts";

/** A noise level and half the logarithm of its signal-to-noise ratio. */
export interface LambdaLevel extends NoiseLevel {
  lambda: number;
}

/**
 * Returns the level of one of a solver's sigmas: of the latents themselves in flow matching, else relative to
 * the original's.
 */
export function lambdaLevel(sigma: number, { flow }: { flow: boolean }): LambdaLevel {
  const alpha = flow ? 1 - sigma : 1 / Math.sqrt(sigma * sigma + 1);
  const own = flow ? sigma : sigma * alpha;
  return { alpha, sigma: own, lambda: Math.log(alpha) - Math.log(own) };
}
