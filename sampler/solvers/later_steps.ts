// The end of a run, as image to image has it: diffusers' get_timesteps and set_begin_index.

import { assertNumber } from "../numerics/assert_number.ts";
import type { Solver } from "./solver.ts";

/**
 * The steps of `solver` from `begin` on, numbered from 0: plans and forecasts are made for the steps that are run. What
 * multistep solvers remember stays in `solver`.
 *
 * @throws {RangeError} If there is no such step.
 */
export function laterSteps(solver: Solver, begin: number): Solver {
  const { timesteps, sigmas, initNoiseSigma } = solver;
  const max = timesteps.length - 1;
  assertNumber(begin, { action: "leave out steps", name: "begin", integer: true, min: 0, max });
  if (begin === 0) return solver;
  return {
    timesteps: timesteps.subarray(begin),
    sigmas: sigmas.subarray(begin),
    initNoiseSigma,
    addNoise: (index, original, noise) => solver.addNoise(begin + index, original, noise),
    scaleModelInput: (index, latents) => solver.scaleModelInput(begin + index, latents),
    step: (index, modelOutput, latents) => solver.step(begin + index, modelOutput, latents),
    outputFactor: (index) => solver.outputFactor?.(begin + index),
    predictOriginal: (index, modelOutput, latents) =>
      solver.predictOriginal(begin + index, modelOutput, latents),
    reset: () => solver.reset(),
  };
}
