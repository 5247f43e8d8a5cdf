// Another scheduler for a checkpoint, as `NAME.from_config(pipe.scheduler.config, **options)` makes
// it in diffusers (0.42.1).

import { showValue } from "../numerics/show_value.ts";
import { SCHEDULER_NAMES } from "./create_solver.ts";
import type { SchedulerConfig } from "./schedule/read_scheduler_config.ts";

/** A scheduler by its class in diffusers, and options of its config by their names there. */
export interface ChosenScheduler {
  /** Class name in diffusers. */
  name: string;
  /** Options of the config. */
  options: Readonly<Record<string, unknown>>;
}

const FLOW = "flow_prediction";

/**
 * Returns the config of `chosen` for the checkpoint whose scheduler has the config `own`. Options of `own`
 * that the class has as well carry over.
 *
 * @throws {TypeError} If the class is unknown, or reads the denoiser's output as
 * something else than `own` does.
 */
export function deriveScheduler(own: SchedulerConfig, { name, options }: ChosenScheduler): SchedulerConfig {
  if (!SCHEDULER_NAMES.includes(name)) {
    throw new TypeError(`'${showValue(name)}' is not one of ${SCHEDULER_NAMES.join(", ")}`);
  }
  const unset = own._use_default_values;
  const config = {
    ...own,
    ...options,
    _class_name: name,
    _use_default_values: Array.isArray(unset) ? unset.filter((key) => !Object.hasOwn(options, key)) : [],
    // Options that the class lacks are passed over, but requested options are not.
    _borrowed: Object.keys(own).filter((key) => !Object.hasOwn(options, key)),
  };
  const [needed, given] = [predictionOf(own), predictionOf(config)];
  if (needed === given) return config;
  const advice = needed === FLOW
    ? ". Try the options prediction_type=flow_prediction and use_flow_sigmas=true, if the class has them"
    : "";
  throw new TypeError(`the checkpoint predicts ${needed}, and ${name} reads ${given}${advice}`);
}

/** The meaning of the denoiser's output to a scheduler. */
function predictionOf(config: SchedulerConfig): string {
  if (config._class_name === "FlowMatchEulerDiscreteScheduler") return FLOW;
  const { prediction_type: type, _use_default_values: unset } = config;
  const isUnset = Array.isArray(unset) && unset.includes("prediction_type");
  return typeof type === "string" && !isUnset ? type : "epsilon";
}
