// The sigmas that FluxPipeline and Flux2KleinPipeline of diffusers pass to the scheduler.
import { linspace, type SchedulerConfig } from "../../sampler/mod.ts";

/** Returns no sigmas for a scheduler that spaces a flow's sigmas itself (`use_flow_sigmas`). */
export function fluxSigmas(scheduler: SchedulerConfig, steps: number): { sigmas?: number[] } {
  return scheduler["use_flow_sigmas"] === true ? {} : { sigmas: [...linspace(1, 1 / steps, steps)] };
}
