// Which sampling steps run the whole network: the growing window of Spectrum (arXiv 2603.01623),
// of which TaylorSeer's "full every N steps after the first ones" is the case without growth.

import { assertNumber } from "./_assert_number.ts";
import type { SamplerOptions } from "./sampler_options.ts";

/** A full pass runs the whole network; a forecast runs its head alone, on a forecast feature. */
export type StepKind = "full" | "forecast";

/** The part of the options that decides the plan. */
export type StepPlanOptions = Pick<SamplerOptions, "method" | "windowSize" | "flexWindow" | "warmupSteps">;

/**
 * Plans a run of `steps` steps.
 *
 * The first `warmupSteps` steps are full. After them a step is full when it is number floor(window) since the last full
 * one; each such step then widens the window by `flexWindow`. The last steps are not forced to be full.
 *
 * @throws {RangeError} If a number is outside its range.
 *
 * @example
 * ```ts
 * import { planSteps } from "./step_plan.ts";
 * planSteps(8, { method: "spectrum", windowSize: 2, flexWindow: 0.75, warmupSteps: 5 });
 * // full, full, full, full, full, forecast, full, forecast
 * ```
 */
export function planSteps(steps: number, options: StepPlanOptions): StepKind[] {
  const { method, windowSize, flexWindow, warmupSteps } = options;
  assertNumber(steps, { action, name: "steps", integer: true, min: 1 });
  assertNumber(windowSize, { action, name: "windowSize", min: 1 });
  assertNumber(flexWindow, { action, name: "flexWindow", min: 0 });
  assertNumber(warmupSteps, { action, name: "warmupSteps", integer: true, min: 1 });
  if (method === "none") return new Array<StepKind>(steps).fill("full");

  const plan: StepKind[] = [];
  let window = windowSize;
  let forecastsInARow = 0;
  for (let step = 0; step < steps; step++) {
    const warmingUp = step < warmupSteps;
    if (warmingUp || (forecastsInARow + 1) % Math.floor(window) === 0) {
      plan.push("full");
      forecastsInARow = 0;
      // Rounded as in the reference: adding 0.05 twenty times must add 1.
      if (!warmingUp) window = Number((window + flexWindow).toFixed(3));
    } else {
      plan.push("forecast");
      forecastsInARow++;
    }
  }
  return plan;
}

/**
 * How many features a run keeps: one for each full pass that a forecast follows.
 * A plan without forecasts keeps none.
 */
export function countHistorySlots(plan: readonly StepKind[]): number {
  const lastForecast = plan.lastIndexOf("forecast");
  return plan.slice(0, lastForecast + 1).filter((kind) => kind === "full").length;
}

const action = "plan the steps";
