// A scheduler's config is checked when the checkpoint is read.
import { createSolver, type SchedulerConfig, type SolverOptions } from "../../sampler/mod.ts";

/**
 * Returns a scheduler's config, after a solver was made of it: unsupported options are rejected now instead
 * of at the first picture.
 * @param options of the family's solvers @default a schedule of one step
 * @throws {TypeError | RangeError} naming the option.
 */
export function checkScheduler(
  scheduler: SchedulerConfig,
  options: Partial<SolverOptions> = {},
): SchedulerConfig {
  createSolver(scheduler, { steps: 1, noise: (count) => new Float32Array(count), ...options });
  return scheduler;
}
