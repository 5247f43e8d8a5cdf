// Which sampling steps run the whole network: the growing window of Spectrum (arXiv 2603.01623),
// of which TaylorSeer's "full every N steps after the first ones" is the case without growth.

import { showValue } from "../numerics/show_value.ts";
import { assertNumber } from "../numerics/assert_number.ts";
import type { SamplerOptions } from "../sampler_options.ts";

/** A full pass runs the whole network; a forecast runs its head alone, on a forecast feature. */
export type StepKind = "full" | "forecast";

/** The part of the options that decides the plan. */
export type StepPlanOptions =
  & Pick<SamplerOptions, "method" | "windowSize" | "flexWindow" | "warmupSteps" | "fullSteps">
  & Partial<Pick<SamplerOptions, "tailSteps">>;

/**
 * Plans a run of `steps` steps.
 *
 * The first `warmupSteps` steps are full. After them a step is full when it is number floor(window) since the last full
 * one; each such step then widens the window by `flexWindow`. So are the last `tailSteps`, of which the paper has none.
 * Where `fullSteps` are given, these are the full ones and the rest has no effect.
 *
 * @throws {RangeError} If a number is outside its range, or `fullSteps` do not ascend from 0 to less than `steps`.
 *
 * @example
 * ```ts
 * import { planSteps } from "./step_plan.ts";
 * planSteps(8, { method: "spectrum", windowSize: 2, flexWindow: 0.75, warmupSteps: 5 });
 * // full, full, full, full, full, forecast, full, forecast
 * ```
 */
export function planSteps(steps: number, options: StepPlanOptions): StepKind[] {
  const { method, windowSize, flexWindow, warmupSteps, tailSteps = 0, fullSteps } = options;
  assertNumber(steps, { action, name: "steps", integer: true, min: 1 });
  assertNumber(windowSize, { action, name: "windowSize", min: 1 });
  assertNumber(flexWindow, { action, name: "flexWindow", min: 0 });
  assertNumber(warmupSteps, { action, name: "warmupSteps", integer: true, min: 1 });
  assertNumber(tailSteps, { action, name: "tailSteps", integer: true, min: 0 });
  if (method === "none") return new Array<StepKind>(steps).fill("full");
  if (fullSteps !== undefined) return planOf(fullSteps, steps);

  const plan: StepKind[] = [];
  let window = windowSize;
  let forecastsInARow = 0;
  for (let step = 0; step < steps; step++) {
    const warmingUp = step < warmupSteps;
    if (warmingUp || step >= steps - tailSteps || (forecastsInARow + 1) % Math.floor(window) === 0) {
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

function planOf(fullSteps: readonly number[], steps: number): StepKind[] {
  const ascends = fullSteps.every((step, i) =>
    Number.isInteger(step) && step < steps && (i === 0 ? step === 0 : step > fullSteps[i - 1]!)
  );
  if (fullSteps.length === 0 || !ascends) {
    throw new RangeError(
      `Cannot plan the steps as 'fullSteps' must ascend from 0 to less than ${steps}: current value is ${
        showValue(fullSteps.join())
      }`,
    );
  }
  const plan = new Array<StepKind>(steps).fill("forecast");
  for (const step of fullSteps) plan[step] = "full";
  return plan;
}

const action = "plan the steps";
