// How many times as fast forecasts make denoising.

/** Times are in one unit. */
export interface PlanCost {
  steps: number;
  passes: number;
  /** One full pass. */
  full: number;
  /** One forecast. */
  forecast: number;
}

/** Returns the time of a run without forecasts over that of the plan. */
export function gainOf({ steps, passes, full, forecast }: PlanCost): number {
  return steps * full / (passes * full + (steps - passes) * forecast);
}
