// Completes a request's sampler options from the checkpoint's,
// including its stored plan for the number of full passes.
import { badField } from "./bad_field.ts";
import {
  type OptionError,
  OPTIONS,
  type ResolvedSamplerOptions,
  resolveSamplerOptions,
  type SamplerOptions,
} from "../../sampler/mod.ts";
import type { StoredPlans } from "./request_defaults.ts";

export interface CompleteSamplerOptions {
  /** The checkpoint's options. They apply only to the checkpoint's own method. */
  own: Partial<SamplerOptions>;
  plans: StoredPlans | undefined;
  /** Steps of the run. */
  steps: number;
}

/** Options that choose the full passes by a rule instead of a stored plan. */
const OTHER_WAYS = OPTIONS.filter(({ decides }) => decides === "window" || decides === "errorBudget")
  .map(({ name }) => name);

/**
 * Returns the request's sampler options with every field filled in.
 * @throws {OptionError} naming the field, the rule and the value.
 */
export function completeSampler(
  given: Partial<SamplerOptions>,
  { own, plans, steps }: CompleteSamplerOptions,
): ResolvedSamplerOptions {
  const usesOwn = given.method === undefined || given.method === own.method;
  const merged = usesOwn ? { ...own, ...given } : given;
  const passes = passesOf(given, merged);
  const plan = passes > 0 ? plans?.[steps]?.[passes] : undefined;
  if (passes > 0 && plan === undefined && given.passes !== undefined) {
    throw missingPlan(passes, plans?.[steps], steps);
  }
  return resolveSamplerOptions({
    ...merged,
    // A request with explicit steps does not get the checkpoint's error budget.
    ...(plan ?? given.fullSteps) && given.errorBudget === undefined && { errorBudget: 0 },
    passes: plan === undefined ? 0 : passes,
    ...plan && { fullSteps: plan },
  }, steps);
}

/**
 * Returns the number of full passes to look up. A request
 * with a window or with explicit steps gets no stored plan.
 */
function passesOf(given: Partial<SamplerOptions>, { method, passes = 0 }: Partial<SamplerOptions>): number {
  if (method === "none") return 0;
  const other = (["fullSteps", ...OTHER_WAYS] as const).find((name) => given[name] !== undefined);
  if (other === undefined) return passes;
  if (given.passes) {
    const values = `current values are ${given.passes} and ${given[other]}`;
    throw badField("passes", (quote) => `and ${quote(other)} exclude each other: ${values}`);
  }
  return 0;
}

function missingPlan(
  passes: number,
  plans: Readonly<Record<number, unknown>> | undefined,
  steps: number,
): OptionError {
  const rule = plans === undefined
    ? `must be 0, as this checkpoint has no plans for ${steps} steps`
    : `must be one of ${Object.keys(plans).join(", ")}, the checkpoint's plans for ${steps} steps`;
  return badField("passes", `${rule}: current value is ${passes}`);
}
