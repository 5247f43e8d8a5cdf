// The preconditions on a run that solvers share.

import type { SolverOptions } from "./solver.ts";

/** What a scheduler can make use of. */
export interface SolverOptionsRule {
  className: string;
  /**
   * Whether the pipeline may pass sigmas.
   * @default false
   */
  takesSigmas?: boolean;
  /**
   * Whether each step draws noise.
   * @default false
   */
  needsNoise?: boolean;
}

/** @throws {TypeError} If sigmas are passed in vain or noise is missing. */
export function assertSolverOptions(options: SolverOptions, rule: SolverOptionsRule): void {
  const { className, takesSigmas = false, needsNoise = false } = rule;
  if (options.sigmas !== undefined && !takesSigmas) {
    throw new TypeError(`Cannot create the solver as ${className} takes no sigmas but its config's`);
  }
  if (needsNoise && options.noise === undefined) {
    throw new TypeError(`Cannot create the solver as ${className} needs the option 'noise'`);
  }
}
