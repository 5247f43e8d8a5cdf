// The forward process of all solvers: it mixes an original and noise to latents of one noise level.

import { linearCombination } from "../numerics/linear_combination.ts";
import type { NoiseLevel } from "./schedule/noise_level.ts";
import type { Solver } from "./solver.ts";

/** The original, the noise and their factors. */
export interface NoisyLatents extends NoiseLevel {
  index: number;
  original: Float32Array;
  noise: Float32Array;
}

/**
 * Returns alpha * original + sigma * noise, a new array.
 *
 * @throws {RangeError} If the solver has no such step, or the lengths differ.
 */
export function addNoise(
  solver: Solver,
  { index, original, noise, alpha, sigma }: NoisyLatents,
): Float32Array<ArrayBuffer> {
  if (original.length !== noise.length) {
    throw new RangeError(
      `Cannot add noise as the original [${original.length}] and the noise [${noise.length}] differ in ` +
        "length",
    );
  }
  if (!(index in solver.timesteps)) {
    throw new RangeError(
      `Cannot add noise as 'index' must be in 0..${solver.timesteps.length - 1}: current value is ${index}`,
    );
  }
  return linearCombination([[alpha, original], [sigma, noise]]);
}
