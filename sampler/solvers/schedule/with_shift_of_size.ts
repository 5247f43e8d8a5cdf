// Dynamic shifting under schedulers other than FlowMatchEuler: diffusers' pipelines compute `mu` from the
// picture's size and the scheduler's config, whatever class that scheduler has.

import { calculateShift } from "./calculate_shift.ts";
import type { SchedulerConfig } from "./read_scheduler_config.ts";
import type { SolverOptions } from "../solver.ts";

/**
 * Returns `options` with the `mu` of a picture of `imageSeqLen` tokens, unless they have a `mu`.
 * @param config the whole scheduler_config.json: the line of shifts is no option of the scheduler's own class
 */
export function withShiftOfSize(options: SolverOptions, config: SchedulerConfig): SolverOptions {
  const { mu, imageSeqLen } = options;
  if (mu !== undefined || imageSeqLen === undefined) return options;
  const line = {
    baseImageSeqLen: numberOf(config.base_image_seq_len, 256),
    maxImageSeqLen: numberOf(config.max_image_seq_len, 4096),
    baseShift: numberOf(config.base_shift, 0.5),
    maxShift: numberOf(config.max_shift, 1.15),
  };
  return { ...options, mu: calculateShift(imageSeqLen, line) };
}

function numberOf(value: unknown, otherwise: number): number {
  return typeof value === "number" ? value : otherwise;
}
