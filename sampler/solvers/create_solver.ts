// The registry of solvers: diffusers' class name to ours. A new solver is one file and one line here.

import { showValue } from "../numerics/show_value.ts";
import { Ddim } from "./ddim.ts";
import { DpmSolverMultistep } from "./dpm_solver_multistep.ts";
import { EulerAncestralDiscrete } from "./euler_ancestral_discrete.ts";
import { EulerDiscrete } from "./euler_discrete.ts";
import { FlowMatchEuler } from "./flow_match_euler.ts";
import { Pndm } from "./pndm.ts";
import type { Solver, SolverOptions } from "./solver.ts";
import type { SchedulerConfig } from "./schedule/read_scheduler_config.ts";
import { UniPCMultistep } from "./unipc_multistep.ts";

const SOLVERS: Readonly<Record<string, new (config: SchedulerConfig, options: SolverOptions) => Solver>> = {
  DDIMScheduler: Ddim,
  DPMSolverMultistepScheduler: DpmSolverMultistep,
  EulerAncestralDiscreteScheduler: EulerAncestralDiscrete,
  EulerDiscreteScheduler: EulerDiscrete,
  FlowMatchEulerDiscreteScheduler: FlowMatchEuler,
  PNDMScheduler: Pndm,
  UniPCMultistepScheduler: UniPCMultistep,
};

/** Classes of diffusers. */
export const SCHEDULER_NAMES: readonly string[] = Object.keys(SOLVERS);

/**
 * Creates the solver that a checkpoint's scheduler_config.json describes, for one run.
 *
 * @throws {TypeError} If its `_class_name` is missing or unknown, or an option is
 * unknown or has a wrong type.
 * @throws {RangeError} If an option is outside its range.
 *
 * @example
 * ```ts
 * import { createSolver } from "./create_solver.ts";
 * const config = { _class_name: "FlowMatchEulerDiscreteScheduler", shift: 3 };
 * createSolver(config, { steps: 28 }).timesteps; // 1000, 987.53, ...
 * ```
 */
export function createSolver(config: SchedulerConfig, options: SolverOptions): Solver {
  const name = config._class_name;
  if (typeof name !== "string" || !Object.hasOwn(SOLVERS, name)) {
    throw new TypeError(
      `Cannot create a solver as scheduler class '${showValue(name)}' is not supported: known are ${
        Object.keys(SOLVERS).join(", ")
      }`,
    );
  }
  return new SOLVERS[name]!(config, options);
}
