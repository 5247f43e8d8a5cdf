// Checks the arguments of a solver's step.

import type { Solver } from "./solver.ts";

/** The arguments of a solver's step. */
export interface SolverStep {
  index: number;
  modelOutput: Float32Array;
  latents: Float32Array;
}

/**
 * Checks the arguments of a step.
 * @throws {RangeError} If the solver has no such step, or the lengths differ.
 */
export function assertSolverStep(solver: Solver, { index, modelOutput, latents }: SolverStep): void {
  if (!(index in solver.timesteps)) {
    throw new RangeError(
      `Cannot step as 'index' must be in 0..${solver.timesteps.length - 1}: current value is ${index}`,
    );
  }
  if (modelOutput.length !== latents.length) {
    throw new RangeError(
      `Cannot step as the model output [${modelOutput.length}] and the latents [${latents.length}] ` +
        "differ in length",
    );
  }
}
