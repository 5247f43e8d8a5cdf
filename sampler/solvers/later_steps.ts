// The last steps of a run, for image to image: diffusers' get_timesteps and set_begin_index.

import { assertNumber } from "../numerics/assert_number.ts";
import type { Solver } from "./solver.ts";

/**
 * Returns the steps of `solver` from `begin` on, numbered from 0. Plans and forecasts count only the steps
 * that are run. The state of a multistep solver stays in `solver`.
 *
 * @throws {RangeError} If there is no such step.
 */
export function laterSteps(solver: Solver, begin: number): Solver {
  const { timesteps, sigmas, initNoiseSigma, addsNoise = false } = solver;
  const max = timesteps.length - 1;
  assertNumber(begin, { action: "leave out steps", name: "begin", integer: true, min: 0, max });
  if (begin === 0) return solver;
  return {
    timesteps: timesteps.subarray(begin),
    sigmas: sigmas.subarray(begin),
    initNoiseSigma,
    addsNoise,
    addNoise: (index, original, noise) => solver.addNoise(begin + index, original, noise),
    scaleModelInput: (index, latents) => solver.scaleModelInput(begin + index, latents),
    step: (index, modelOutput, latents) => solver.step(begin + index, modelOutput, latents),
    outputFactor: (index) => solver.outputFactor?.(begin + index),
    predictOriginal: (index, modelOutput, latents) =>
      solver.predictOriginal(begin + index, modelOutput, latents),
    reset: () => solver.reset(),
  };
}
