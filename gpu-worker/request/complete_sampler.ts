// Completes a request's sampler options from the checkpoint's, including the calibration's plan for
// the number of full passes.
import { badField } from "./bad_field.ts";
import { FORECAST_STEPS } from "./short_runs.ts";
import {
  type MeasuredPlans,
  type Method,
  OPTIONS,
  planOfPasses,
  planOfQuality,
  planOfWhole,
  type Quality,
  QUALITY_LEVELS,
  QUALITY_NAMES,
  type ResolvedSamplerOptions,
  resolveSamplerOptions,
  type SamplerOptions,
  showValue,
} from "../../sampler/mod.ts";

export interface CompleteSamplerOptions {
  /** The checkpoint's options. They apply only to the checkpoint's own method. */
  own: Partial<SamplerOptions>;
  /** The checkpoint's calibration. Undefined if it has none. */
  calibration: { plans: MeasuredPlans } | undefined;
  /** Steps of the whole schedule. */
  steps: number;
  /** Steps at the beginning that an image to start from leaves out. @default 0 */
  skipped?: number;
  /** Whether the model looks at images. @default false */
  references?: boolean;
}

/** The sampler options that a request gives. */
export type GivenSampler = Partial<SamplerOptions> & { quality?: Quality };

/** Options that choose the full passes by a rule instead of a plan. */
const RULES = [
  "fullSteps",
  ...OPTIONS.filter(({ decides }) => decides === "window" || decides === "errorBudget").map(({ name }) =>
    name
  ),
] as const;

/**
 * Returns the request's sampler options with every field filled in. A checkpoint with a calibration uses
 * it, unless its own options name another method. A run of few steps, or with references, forecasts only if
 * the request or the checkpoint says how.
 * @throws {OptionError} naming the field, the rule and the value.
 */
export function completeSampler(
  { quality, ...asked }: GivenSampler,
  { own: stored, calibration, steps, skipped = 0, references = false }: CompleteSamplerOptions,
): ResolvedSamplerOptions {
  const named = withoutAbsent(stored, calibration !== undefined);
  const isOpen = Object.keys(asked).length + Object.keys(named).length === 0 && quality === undefined;
  // A calibration is recorded without images.
  const isUntried = references || steps < FORECAST_STEPS && calibration?.plans[steps] === undefined;
  if (isOpen && isUntried) {
    return resolveSamplerOptions({ method: "none" }, steps - skipped);
  }
  const own = calibration === undefined ? named : { method: "calibrated", ...named } as const;
  const given = withMethod(asked, own.method);
  const merged = given.method === undefined || given.method === own.method ? { ...own, ...given } : given;
  if (merged.method === "calibrated" && calibration === undefined) {
    throw badField(
      "method",
      "must not be calibrated, as this checkpoint has no calibration. Try deno task calibrate",
    );
  }
  assertOneWay(given, quality);
  const plan = choosePlan();
  return resolveSamplerOptions({
    ...merged,
    // A request with explicit steps does not get the checkpoint's error budget.
    ...(plan ?? given.fullSteps) && given.errorBudget === undefined && { errorBudget: 0 },
    passes: plan?.length ?? 0,
    ...plan && { fullSteps: plan },
  }, steps - skipped);

  /** Returns undefined where a rule, or the request itself, says which steps are full. */
  function choosePlan(): number[] | undefined {
    const run = { steps, skipped };
    if (merged.method === "none" || RULES.some((name) => given[name] !== undefined)) return undefined;
    const plans = calibration?.plans;
    if (given.passes !== undefined && given.passes > 0) {
      return planOfPasses(needPlans("passes", given.passes, plans), assertPasses(given.passes), run);
    }
    if (given.passes === 0) return undefined;
    if (quality !== undefined) {
      return planOfQuality(needPlans("quality", quality, plans), QUALITY_LEVELS[quality], run);
    }
    const { method, passes = 0, errorBudget = 0 } = merged;
    if (plans === undefined || errorBudget > 0) return undefined;
    if (passes > 0) return planOfWhole(plans, passes, run);
    return method === "calibrated" ? planOfQuality(plans, QUALITY_LEVELS.good, run) : undefined;
  }

  function assertPasses(passes: number): number {
    const most = steps - skipped;
    if (Number.isInteger(passes) && passes <= most) return passes;
    throw badField("passes", `must be a whole number in 0..${most}, the steps: current value is ${passes}`);
  }
}

/**
 * Adds the method that a request means by its options alone: `w` without a method asks for Spectrum where the
 * checkpoint's own method does not read it.
 */
function withMethod(given: Partial<SamplerOptions>, own: Method | undefined): Partial<SamplerOptions> {
  if (given.method !== undefined || own === undefined) return given;
  const foreign = OPTIONS.find(({ name, methods }) =>
    given[name] !== undefined && methods !== undefined && !methods.includes(own)
  );
  return foreign === undefined ? given : { ...given, method: foreign.methods![0]! };
}

/**
 * Leaves out "calibrated" where there is no calibration: a checkpoint without its file
 * has the published settings.
 */
function withoutAbsent(stored: Partial<SamplerOptions>, calibrated: boolean): Partial<SamplerOptions> {
  return stored.method === "calibrated" && !calibrated ? {} : stored;
}

function needPlans(
  field: "passes" | "quality",
  value: unknown,
  plans: MeasuredPlans | undefined,
): MeasuredPlans {
  if (plans !== undefined) return plans;
  const rule = field === "passes" ? "must be 0" : "must be left out";
  throw badField(
    field,
    `${rule}, as this checkpoint has no calibration: current value is ${value}. Try deno task calibrate`,
  );
}

/** Passes, a quality, a rule and steps by their indices exclude each other. */
function assertOneWay(given: Partial<SamplerOptions>, quality: Quality | undefined): void {
  if (quality !== undefined && !QUALITY_NAMES.includes(quality)) {
    throw badField(
      "quality",
      `must be one of ${QUALITY_NAMES.join(", ")}: current value is ${showValue(quality)}`,
    );
  }
  if (given.method === "none") return;
  const rule = RULES.find((name) => given[name] !== undefined);
  const ways = [["passes", given.passes || undefined], ["quality", quality], [
    rule,
    rule && given[rule],
  ]] as const;
  const [first, second] = ways.filter(([name, value]) => name !== undefined && value !== undefined);
  if (second === undefined) return;
  const values = `current values are ${first![1]} and ${second[1]}`;
  throw badField(first![0]!, (quote) => `and ${quote(second[0]!)} exclude each other: ${values}`);
}
