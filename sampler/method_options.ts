// Which options each method reads, so that receipts and cache keys leave out those without effect.

import type { Method, SamplerOptions } from "./sampler_options.ts";

const SCHEDULE = ["windowSize", "flexWindow", "warmupSteps", "tailSteps", "errorBudget", "passes"] as const;

/** Names of the options that change the outcome of each method. */
export const METHOD_OPTIONS: Readonly<
  Record<Method, readonly Exclude<keyof SamplerOptions, "method" | "fullSteps">[]>
> = {
  none: [],
  spectrum: ["w", "m", "lam", "constantPenalty", "lamGrowth", ...SCHEDULE],
  taylorseer: ["order", ...SCHEDULE],
  reuse: SCHEDULE,
};
