// Step plans: which steps are full passes. The growing window is Spectrum's (arXiv 2603.01623). TaylorSeer's
// "full every N steps after the first ones" is the same window without growth.

import { OptionError } from "../numerics/option_error.ts";
import { showValue } from "../numerics/show_value.ts";
import { assertNumber } from "../numerics/assert_number.ts";
import { OPTION_TABLE, type OptionsOf } from "../options/option_table.ts";
import { listPhases, ONE_PHASE, type Phases } from "./phases.ts";

/** A full pass runs the whole network. A forecast predicts the feature and runs the head alone. */
export type StepKind = "full" | "forecast";

/**
 * How the full passes are chosen. The ways exclude each other:
 * - every: all steps are full;
 * - window: a window that grows from one full pass to the next;
 * - errorBudget: full passes measure when the next one is due, and the window's plan is only an estimate;
 * - passes: a stored plan, found by its number of full passes;
 * - fullSteps: steps by their indices.
 */
export type FullPassRule =
  | { by: "every" }
  | { by: "window" } & OptionsOf<"window">
  | { by: "errorBudget" } & OptionsOf<"errorBudget" | "window">
  | { by: "passes"; passes: number; fullSteps: readonly number[] }
  | { by: "fullSteps"; fullSteps: readonly number[] };

/**
 * Plans a run of `steps` steps. In several `phases` each begins with a full pass, and the window begins anew.
 *
 * Under the window the first `warmupSteps` and the last `tailSteps` steps are full passes; the paper has
 * no tail. Between them a full pass follows floor(window) steps after the one before, and adds
 * `flexWindow` to the window.
 *
 * @throws {RangeError} If a number is outside its range, or `fullSteps` do not ascend
 * from 0 to less than `steps`.
 *
 * @example
 * ```ts
 * import { planSteps } from "./step_plan.ts";
 * const fullPasses = { by: "window", windowSize: 2, flexWindow: 0.75, warmupSteps: 5,
 * tailSteps: 0 } as const;
 * planSteps(8, { fullPasses });
 * // full, full, full, full, full, forecast, full, forecast
 * ```
 */
export function planSteps(
  steps: number,
  { fullPasses, phases = ONE_PHASE }: { fullPasses: FullPassRule; phases?: Phases },
): StepKind[] {
  assertNumber(steps, { action, name: "steps", integer: true, min: 1 });
  const all = listPhases(steps, phases);
  switch (fullPasses.by) {
    case "every":
      return new Array<StepKind>(steps).fill("full");
    case "window":
    case "errorBudget":
      return all.flatMap(({ start, end }) => planByWindow(end - start, fullPasses));
    case "passes":
    case "fullSteps":
      return planOf(fullPasses.fullSteps, steps).map((kind, step) => phases.includes(step) ? "full" : kind);
    default:
      throw new TypeError(`Cannot plan the steps as the way is unknown: ${fullPasses satisfies never}`);
  }
}

/**
 * Returns the number of features that a run keeps: one for each full pass that a forecast follows.
 */
export function countHistorySlots(plan: readonly StepKind[]): number {
  const lastForecast = plan.lastIndexOf("forecast");
  return plan.slice(0, lastForecast + 1).filter((kind) => kind === "full").length;
}

function planByWindow(steps: number, options: OptionsOf<"window">): StepKind[] {
  const { windowSize, flexWindow, warmupSteps, tailSteps } = options;
  for (const name of ["windowSize", "flexWindow", "warmupSteps", "tailSteps"] as const) {
    assertNumber(options[name], { action, name, ...OPTION_TABLE[name] });
  }
  const plan: StepKind[] = [];
  let window = windowSize;
  let forecastsInARow = 0;
  for (let step = 0; step < steps; step++) {
    const warmingUp = step < warmupSteps;
    if (warmingUp || step >= steps - tailSteps || (forecastsInARow + 1) % Math.floor(window) === 0) {
      plan.push("full");
      forecastsInARow = 0;
      // The reference rounds too: adding 0.05 twenty times must add 1.
      if (!warmingUp) window = Number((window + flexWindow).toFixed(3));
    } else {
      plan.push("forecast");
      forecastsInARow++;
    }
  }
  return plan;
}

function planOf(fullSteps: readonly number[], steps: number): StepKind[] {
  const ascends = fullSteps.every((step, i) =>
    Number.isInteger(step) && step < steps && (i === 0 ? step === 0 : step > fullSteps[i - 1]!)
  );
  if (fullSteps.length === 0 || !ascends) {
    const value = showValue(fullSteps.join());
    throw new OptionError({
      action,
      option: "fullSteps",
      problem: `must ascend from 0 to less than ${steps}: current value is ${value}`,
    });
  }
  const plan = new Array<StepKind>(steps).fill("forecast");
  for (const step of fullSteps) plan[step] = "full";
  return plan;
}

const action = "plan the steps";
