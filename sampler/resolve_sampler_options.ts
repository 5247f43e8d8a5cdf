// Turns a request's options into a run's options: complete, checked, with one way to choose the full passes.

import { assertNumber } from "./numerics/assert_number.ts";
import { OptionError } from "./numerics/option_error.ts";
import { showValue } from "./numerics/show_value.ts";
import { type Method, METHOD_NAMES, METHODS } from "./options/methods.ts";
import { type OptionNames, OPTIONS, type OptionsOf } from "./options/option_table.ts";
import {
  METHOD_OPTIONS,
  SAMPLER_DEFAULTS,
  type SamplerOptions,
  type SamplerRequest,
} from "./options/sampler_options.ts";
import { type FullPassRule, planSteps } from "./plans/step_plan.ts";

/** Options of a run. They are complete and checked. */
export interface ResolvedSamplerOptions extends OptionsOf<"forecast"> {
  /** Which forecaster runs. */
  method: Method;
  /** Which steps run the whole network. */
  fullPasses: FullPassRule;
}

/**
 * Fills in the defaults of the method ("spectrum" unless given) and checks every option
 * against a run of `steps` steps.
 *
 * The default of `m` is lowered where a short run has fewer than five full passes; a
 * given `m` is never changed.
 *
 * @throws {TypeError} If the method is unknown.
 * @throws {OptionError} If an option is outside its range, two of them contradict each other, or `m` is not
 * below the number of full passes.
 */
export function resolveSamplerOptions(
  partial: SamplerRequest,
  steps: number,
): ResolvedSamplerOptions {
  const { method = "spectrum" } = partial;
  if (!Object.hasOwn(METHODS, method)) {
    throw new TypeError(
      `Cannot sample as 'method' must be one of ${METHOD_NAMES.join(", ")}: current value is ${
        showValue(method)
      }`,
    );
  }
  const given = Object.fromEntries(Object.entries(partial).filter(([, value]) => value !== undefined));
  const options: SamplerOptions = { ...SAMPLER_DEFAULTS[method], ...given };
  for (const { name, decides, ...range } of OPTIONS) {
    const action = decides === "window" ? "plan the steps" : "sample";
    assertNumber(options[name], { action, name, ...range });
  }
  const fullPasses = chooseRule(options);
  const count = planSteps(steps, { fullPasses }).filter((kind) => kind === "full").length;
  if (partial.m === undefined) options.m = Math.min(options.m, count - 1);
  else if (method === "spectrum" && options.m >= count) {
    throw new OptionError({
      action: "sample",
      option: "m",
      problem:
        `must be below the number of full passes, ${count} at ${steps} steps: current value is ${options.m}`,
    });
  }
  return { method, ...pick(options, "forecast"), fullPasses };
}

/**
 * Returns the options as one flat record, as the wire has them. Options without effect have their defaults.
 */
export function flattenSamplerOptions(
  { fullPasses: { by: _, ...rule }, ...options }: ResolvedSamplerOptions,
): SamplerOptions {
  return { ...SAMPLER_DEFAULTS[options.method], ...options, ...rule };
}

/**
 * Returns the options that decided a run, by name: those that its method reads, and those of the way in which
 * its full passes were chosen.
 */
export function decidingOptions(
  { method, fullPasses: { by: _, ...rule }, ...forecast }: ResolvedSamplerOptions,
): Partial<Record<OptionNames["name"], number>> {
  const own: Partial<Record<string, unknown>> = { ...forecast, ...rule };
  return Object.fromEntries(
    METHOD_OPTIONS[method].filter((name) => name in own).map((name) => [name, own[name]]),
  );
}

function chooseRule(options: SamplerOptions): FullPassRule {
  const { method, errorBudget, passes, fullSteps } = options;
  const other = passes > 0 ? "passes" : fullSteps && "fullSteps";
  if (errorBudget > 0 && other) {
    throw new OptionError({
      action: "sample",
      option: "errorBudget",
      problem: (quote) =>
        `and ${quote(other)} exclude each other: ` +
        `${other === "passes" ? "one of them" : quote("errorBudget")} must be 0`,
    });
  }
  if (method === "none") return { by: "every" };
  if (errorBudget > 0) return { by: "errorBudget", errorBudget, ...pick(options, "window") };
  if (fullSteps) return passes > 0 ? { by: "passes", passes, fullSteps } : { by: "fullSteps", fullSteps };
  if (passes === 0) return { by: "window", ...pick(options, "window") };
  throw new OptionError({
    action: "sample",
    option: "passes",
    problem: (quote) => `takes ${quote("fullSteps")}: current value of ${quote("passes")} is ${passes}`,
  });
}

function pick<D extends "forecast" | "window">(options: SamplerOptions, decides: D): OptionsOf<D> {
  const names = OPTIONS.filter((option) => option.decides === decides).map(({ name }) => name);
  return Object.fromEntries(names.map((name) => [name, options[name]])) as OptionsOf<D>;
}
