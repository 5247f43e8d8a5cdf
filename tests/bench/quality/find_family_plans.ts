// Plans for the families that have one, from features recorded on prompts that are not measured.
import { planningPrompts, recordGram } from "../../../gpu-worker/cli/plan/record_gram.ts";
import type { Pipeline } from "../../../gpu-worker/pipeline/pipeline.ts";
import { createForecaster, findPlans, SAMPLER_DEFAULTS } from "../../../sampler/mod.ts";
import { FAMILIES, PASSES, type PlansByFamily } from "./fidelity_methods.ts";
import { STEPS } from "./methods.ts";

const SEED = 7000;

export interface FindFamilyPlansOptions {
  names: readonly string[];
  /** Where they are kept. */
  path: string;
  signal: AbortSignal;
}

export async function findFamilyPlans(
  pipeline: Pipeline,
  { names, path, signal }: FindFamilyPlansOptions,
): Promise<PlansByFamily> {
  try {
    return JSON.parse(Deno.readTextFileSync(path));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const { gram, strides } = await recordGram(pipeline, {
    prompts: planningPrompts(names),
    given: { seed: SEED, steps: STEPS },
    steps: STEPS,
    signal,
  });
  const plans = Object.fromEntries(
    FAMILIES.filter(({ planned }) => planned).map(({ name, sampler }) => {
      const options = { ...SAMPLER_DEFAULTS[sampler.method], ...sampler };
      const found = findPlans({
        gram,
        weights: strides,
        forecaster: createForecaster(options, STEPS),
        maxPasses: Math.max(...PASSES),
      });
      return [name, Object.fromEntries(PASSES.map((passes) => [passes, found[passes - 1]!.fullSteps]))];
    }),
  );
  Deno.writeTextFileSync(path, JSON.stringify(plans, null, 1));
  return plans;
}
