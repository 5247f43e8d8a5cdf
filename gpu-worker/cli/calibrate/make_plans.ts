// Makes a calibration's step plans for one number of steps.
import { meanOf } from "../mean_of.ts";
import type { MeasuredPlan, MeasuredPlans } from "../../../sampler/mod.ts";
import { parseCalibration } from "../../checkpoint/calibration_file.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import type { ModelCalibration } from "../../request/model_calibration.ts";
import type { CalibrateArguments } from "./calibrate_arguments.ts";
import type { CalibrationBar } from "./calibration_bar.ts";
import { PlanCosts, SENSITIVITY_DRAWS } from "./plan_costs.ts";
import { type PromptSets, trialSet } from "./prompt_sets.ts";
import { storedRivals } from "./rival_plans.ts";
import { searchPlans } from "./search_plans.ts";
import type { Trials } from "./trials.ts";

export interface MakePlansOptions extends Pick<CalibrateArguments, "passes"> {
  /** Its plans for other numbers of steps are tried too. */
  calibration: ModelCalibration;
  /** Plans of an earlier calibration, which are tried too. */
  previous: MeasuredPlans;
  steps: number;
  prompts: PromptSets;
  /** Plans to draw at most for each number of passes. */
  limit: number;
  bar: CalibrationBar;
}

/** Searches the plans for one number of steps and measures them on prompts that the search has not seen. */
export async function makePlans(
  trials: Trials,
  { calibration, previous, steps, prompts, passes, limit, bar }: MakePlansOptions,
): Promise<Record<number, MeasuredPlan>> {
  const set = trialSet("search", { prompts, steps });
  bar.begin(
    `${steps} steps: how errors reach the picture`,
    steps * (set.prompts.length + SENSITIVITY_DRAWS),
  );
  const byDistance = PlanCosts.byDistance(calibration, await trials.sigmas(set));
  const bySensitivity = await byDistance.withSensitivity(trials, { set, calibration });
  const hints = new Map<number, (readonly number[])[]>();
  for (let count = passes.least; count <= passes.most; count++) {
    const known = [previous, calibration.plans]
      .flatMap((plans) => storedRivals(plans, { passes: count, steps }));
    hints.set(count, known.map(([, plan]) => plan));
  }
  const found = await searchPlans({
    trials,
    set,
    calibration,
    costs: [bySensitivity, byDistance],
    passes,
    limit,
    hints,
    onPasses: (count) =>
      bar.begin(`${steps} steps: plans of ${count} passes`, count * limit * set.prompts.length),
  });
  const validation = trialSet("validate", { prompts, steps });
  bar.begin(`${steps} steps: measuring the plans`, validation.prompts.length * (steps + 10 * found.size));
  const plans: Record<number, MeasuredPlan> = {};
  for (const [count, fullSteps] of found) {
    const psnrs = await trials.psnrs(fullSteps, { set: validation, calibration });
    plans[count] = { fullSteps, psnr: Number(meanOf(psnrs).toFixed(2)) };
  }
  return plans;
}

/** Returns the plans of the file that the new one will replace, if it is of this checkpoint. */
export function previousPlans(path: string, digest: string): MeasuredPlans {
  try {
    const { source, plans } = parseCalibration(Deno.readTextFileSync(path), path);
    return source.modelDigest === digest ? plans : {};
  } catch (error) {
    if (error instanceof CheckpointError || error instanceof Deno.errors.NotFound) return {};
    throw error;
  }
}
