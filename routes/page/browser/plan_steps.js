// The steps that will be full passes, shown before a run. A copy of sampler/plans/step_plan.ts, as
// the page is served without a build and browsers read no TypeScript.
// tests/routes/page/plan_steps_test.ts checks that both agree.

/** @import { StepKind, SpectrumOptions } from "./wire.d.ts" */

/**
 * Returns the kind of each step.
 *
 * @param {number} steps
 * @param {Required<Pick<SpectrumOptions, "method" | "window_size" | "flex_window" | "warmup_steps"
 * | "tail_steps">>} options
 * @returns {StepKind[]}
 */
export function planSteps(steps, options) {
  /** @type {StepKind[]} */
  const plan = [];
  let window = options.window_size;
  let forecastsInARow = 0;
  for (let step = 0; step < steps; step++) {
    const warmingUp = step < options.warmup_steps;
    const tail = step >= steps - options.tail_steps;
    if (options.method === "none" || warmingUp || tail || (forecastsInARow + 1) % Math.floor(window) === 0) {
      plan.push("full");
      forecastsInARow = 0;
      if (!warmingUp) window = Number((window + options.flex_window).toFixed(3));
    } else {
      plan.push("forecast");
      forecastsInARow++;
    }
  }
  return plan;
}
