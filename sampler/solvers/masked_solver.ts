// Inpainting: after each step, the places that are kept get the original under noise of the new level, as in
// diffusers' inpainting pipelines.

import type { Solver } from "./solver.ts";

/** Options of {@linkcode maskedSolver}. */
export interface MaskedSolverOptions {
  /** The original in the denoiser's scale. */
  original: Float32Array;
  /** Standard normal noise, the same at all levels. */
  noise: Float32Array;
  /** 0 at the places that keep the original; any other value at those to draw. */
  mask: ArrayLike<number>;
}

/**
 * Returns `solver` with the original put back outside the mask after each step.
 *
 * Forecasts that are taken at once stay so. A place is either kept or drawn, and a solver treats each place
 * by itself. So the places that are kept depend on the last of these steps alone.
 *
 * @throws {RangeError} If the lengths differ.
 */
export function maskedSolver(solver: Solver, { original, noise, mask }: MaskedSolverOptions): Solver {
  if (original.length !== mask.length || noise.length !== mask.length) {
    throw new RangeError(
      `Cannot mask the solver as the original [${original.length}], the noise [${noise.length}] and the ` +
        `mask [${mask.length}] differ in length`,
    );
  }
  const { timesteps, sigmas, initNoiseSigma } = solver;
  const last = timesteps.length - 1;
  const keep = (latents: Float32Array, kept: Float32Array) => {
    for (let i = 0; i < latents.length; i++) if (mask[i] === 0) latents[i] = kept[i]!;
    return latents;
  };
  const afterMove = (index: number, latents: Float32Array) =>
    void keep(latents, index === last ? original : solver.addNoise(index + 1, original, noise));
  return {
    timesteps,
    sigmas,
    initNoiseSigma,
    addNoise: (index, original, noise) => solver.addNoise(index, original, noise),
    scaleModelInput: (index, latents) => solver.scaleModelInput(index, latents),
    step(index, modelOutput, latents) {
      solver.step(index, modelOutput, latents);
      afterMove(index, latents);
    },
    outputFactor: (index) => solver.outputFactor?.(index),
    afterMove,
    predictOriginal: (index, modelOutput, latents) =>
      keep(solver.predictOriginal(index, modelOutput, latents), original),
    reset: () => solver.reset(),
  };
}
