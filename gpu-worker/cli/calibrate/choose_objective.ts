// Chooses which error a calibration's weights minimise.
import { meanOf } from "../mean_of.ts";
import type { ModelCalibration, StoredCalibration } from "../../request/model_calibration.ts";
import type { CalibrationBar } from "./calibration_bar.ts";
import { PlanCosts } from "./plan_costs.ts";
import type { Trials, TrialSet } from "./trials.ts";

export type Objective = Pick<StoredCalibration, "guidedShare" | "feedback">;

/** Shares of the guided output to choose from. */
const GUIDED_SHARES = [0, 0.3, 0.6, 1];
/** Full passes of 50 steps at which they are compared. */
const SHARE_PASSES = [8, 12];
/** Shares of earlier errors to take back. The share of the guided output is chosen with the first one. */
const FEEDBACKS = [1, 0.5, 0] as const;

/** The objective before one is chosen. */
export const FIRST_OBJECTIVE: Objective = { guidedShare: GUIDED_SHARES[0]!, feedback: FEEDBACKS[0] };

/** Chooses the error that the weights minimise by the pictures that they give. */
export async function chooseObjective(
  trials: Trials,
  { calibration, set, bar }: { calibration: ModelCalibration; set: TrialSet; bar: CalibrationBar },
): Promise<Objective> {
  const shares = calibration.products.unconditional === undefined ? [0] : GUIDED_SHARES;
  const numbers = SHARE_PASSES.map((passes) => Math.max(2, Math.round(passes * set.steps / 50)));
  const candidates = shares.length + FEEDBACKS.length;
  bar.begin("choosing the error to minimise", candidates * 40 * set.prompts.length);
  const sigmas = await trials.sigmas(set);
  // All candidates are tried at the plans that the least and the largest share predict to be best.
  const plans = new Map(
    [shares[0]!, shares.at(-1)!].flatMap((guidedShare) => {
      const costs = PlanCosts.byDistance({ ...calibration, guidedShare }, sigmas);
      const best = costs.best(Math.max(...numbers));
      return numbers.map((passes) => [best[passes - 1]!.join(), best[passes - 1]!]);
    }),
  );
  const bestOf = async (objectives: readonly Objective[]): Promise<Objective> => {
    let chosen = { objective: objectives[0]!, psnr: -Infinity };
    for (const objective of objectives) {
      const psnrs: number[] = [];
      for (const plan of plans.values()) {
        psnrs.push(...await trials.psnrs(plan, { set, calibration: { ...calibration, ...objective } }));
      }
      const psnr = meanOf(psnrs);
      if (psnr > chosen.psnr) chosen = { objective, psnr };
    }
    return chosen.objective;
  };
  const { guidedShare } = await bestOf(
    shares.map((guidedShare) => ({ guidedShare, feedback: FEEDBACKS[0] })),
  );
  return await bestOf(FEEDBACKS.map((feedback) => ({ guidedShare, feedback })));
}
