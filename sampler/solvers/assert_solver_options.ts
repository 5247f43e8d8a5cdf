// Checks the run that a solver is created for.

import type { SolverOptions } from "./solver.ts";

/** The inputs that a scheduler uses. */
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

/**
 * Checks the options of a solver.
 * @throws {TypeError} If sigmas are given that the scheduler ignores, or noise is missing.
 */
export function assertSolverOptions(options: SolverOptions, rule: SolverOptionsRule): void {
  const { className, takesSigmas = false, needsNoise = false } = rule;
  if (options.sigmas !== undefined && !takesSigmas) {
    throw new TypeError(`Cannot create the solver as ${className} takes no sigmas but its config's`);
  }
  if (needsNoise && options.noise === undefined) {
    throw new TypeError(`Cannot create the solver as ${className} needs the option 'noise'`);
  }
}
