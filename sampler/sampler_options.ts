// The options of the accelerated sampler, their defaults and their rules. The names are those of the paper and its
// reference code (w, m, lam, window_size, flex_window, warmup_steps) and of TaylorSeer (order).

import { showValue } from "./numerics/show_value.ts";
import { assertNumber } from "./numerics/assert_number.ts";
import { planSteps } from "./plans/step_plan.ts";

/** How the steps between two full passes are forecast. "none" runs every step in full. */
export type Method = "none" | "spectrum" | "taylorseer" | "reuse";

/** Options that are complete and checked. A method ignores those that are not its own. */
export interface SamplerOptions {
  /** Which forecaster runs; "none" for none. */
  method: Method;
  /** spectrum: share of the Chebyshev fit, 0..1; the rest is linear extrapolation. The paper has 1, its authors now recommend 0.5..1. */
  w: number;
  /** spectrum: highest degree of the Chebyshev basis, which then has m + 1 columns. */
  m: number;
  /** spectrum: ridge penalty, >= 0. */
  lam: number;
  /** spectrum: the share of the penalty that the constant term T_0 bears, 0..1. The paper has 1; at 0 forecasts keep their mean. */
  constantPenalty: number;
  /** spectrum: the penalty is lam * K^lamGrowth after K full passes. The paper has 0; at 1 it keeps its weight as passes add up. */
  lamGrowth: number;
  /** Steps from one full pass to the next, right after the warm-up; its integer part counts. */
  windowSize: number;
  /** What each full pass after the warm-up adds to the window. */
  flexWindow: number;
  /** Full passes at the start of the run. */
  warmupSteps: number;
  /** Full passes at the end of the run. */
  tailSteps: number;
  /**
   * Relative forecast error to aim at: what full passes measure widens or narrows the window, and the plan comes of the
   * run. 0 for a plan that is known before.
   */
  errorBudget: number;
  /** Full passes in all, at the steps of the checkpoint's own plan for so many. 0 for those of the window. */
  passes: number;
  /** The steps of that plan, ascending from 0. @default the window's */
  fullSteps?: readonly number[];
  /** taylorseer: highest order of the finite differences. */
  order: 1 | 2;
}

const SPECTRUM: SamplerOptions = {
  method: "spectrum",
  w: 0.5,
  m: 4,
  lam: 0.1,
  constantPenalty: 1,
  lamGrowth: 0,
  windowSize: 2,
  flexWindow: 0.75,
  warmupSteps: 5,
  tailSteps: 0,
  errorBudget: 0,
  passes: 0,
  order: 1,
};

// TaylorSeer's FLUX settings (N = 4, O = 1): three full passes, then one in every four steps.
const TAYLORSEER: SamplerOptions = {
  ...SPECTRUM,
  method: "taylorseer",
  windowSize: 4,
  flexWindow: 0,
  warmupSteps: 3,
};

/** What each method uses for options that are not given. */
export const SAMPLER_DEFAULTS: Readonly<Record<Method, Readonly<SamplerOptions>>> = {
  none: { ...SPECTRUM, method: "none" },
  spectrum: SPECTRUM,
  taylorseer: TAYLORSEER,
  reuse: { ...TAYLORSEER, method: "reuse" },
};

/**
 * Fills in the defaults of the method ("spectrum" unless given) and checks every option against a run of `steps` steps.
 *
 * The default of `m` is lowered where a short run has fewer than five full passes; a given `m` is never changed.
 *
 * @throws {TypeError} If the method is unknown.
 * @throws {RangeError} If an option is outside its range, two of them contradict each other, or `m` is not below the number of full passes.
 */
export function resolveSamplerOptions(partial: Partial<SamplerOptions>, steps: number): SamplerOptions {
  const method = partial.method ?? "spectrum";
  if (!Object.hasOwn(SAMPLER_DEFAULTS, method)) {
    const methods = Object.keys(SAMPLER_DEFAULTS).join(", ");
    throw new TypeError(
      `Cannot sample as 'method' must be one of ${methods}: current value is ${showValue(method)}`,
    );
  }
  const given = Object.fromEntries(Object.entries(partial).filter(([, value]) => value !== undefined));
  const options: SamplerOptions = { ...SAMPLER_DEFAULTS[method], ...given };
  assertNumber(options.w, { action, name: "w", min: 0, max: 1 });
  assertNumber(options.m, { action, name: "m", integer: true, min: 0 });
  assertNumber(options.lam, { action, name: "lam", min: 0 });
  assertNumber(options.constantPenalty, { action, name: "constantPenalty", min: 0, max: 1 });
  assertNumber(options.lamGrowth, { action, name: "lamGrowth", min: -2, max: 2 });
  assertNumber(options.errorBudget, { action, name: "errorBudget", min: 0 });
  assertNumber(options.passes, { action, name: "passes", integer: true, min: 0 });
  if (options.errorBudget > 0 && options.passes > 0) {
    throw new RangeError(
      "Cannot sample as 'errorBudget' and 'passes' exclude each other: one of them must be 0",
    );
  }
  assertNumber(options.order, { action, name: "order", integer: true, min: 1, max: 2 });

  const fullPasses = planSteps(steps, options).filter((kind) => kind === "full").length;
  if (partial.m === undefined) {
    options.m = Math.min(options.m, fullPasses - 1);
  } else if (method === "spectrum" && options.m >= fullPasses) {
    throw new RangeError(
      `Cannot sample as 'm' must be below the number of full passes, ${fullPasses} at ${steps} steps: current value is ${options.m}`,
    );
  }
  return options;
}

const action = "sample";
