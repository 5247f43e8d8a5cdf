// The plan search on pictures whose quality a formula tells: what it tries, and that
// nothing it tried is better.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { parseCalibration } from "../../../../gpu-worker/checkpoint/calibration_file.ts";
import { PlanCosts } from "../../../../gpu-worker/cli/calibrate/plan_costs.ts";
import { rivalPlans } from "../../../../gpu-worker/cli/calibrate/rival_plans.ts";
import { searchPlans, type SearchPlansOptions } from "../../../../gpu-worker/cli/calibrate/search_plans.ts";
import type { ModelCalibration } from "../../../../gpu-worker/request/model_calibration.ts";
import { meanOf } from "../../../../gpu-worker/cli/mean_of.ts";

const FILE = "models/emoji/calibration.json";
const CALIBRATION: ModelCalibration = {
  ...parseCalibration(Deno.readTextFileSync(FILE), FILE),
  path: FILE,
  digest: "",
};
const STEPS = 16;
const SET = { name: "search", prompts: ["a", "b", "c"], seedOffset: 0, steps: STEPS };
const COST = PlanCosts.byDistance(CALIBRATION, Float64Array.from({ length: STEPS }, (_, i) => 1 - i / STEPS));

/**
 * Searches plans of 5 to 7 passes. `qualityOf` is the PSNR of a plan, to which each
 * prompt adds its own share.
 */
async function search(
  qualityOf: (plan: readonly number[]) => number,
  options: Partial<SearchPlansOptions> = {},
) {
  const tried = new Map<number, { plan: readonly number[]; psnr: number }[]>();
  const found = await searchPlans({
    trials: {
      psnrs: (plan) => {
        const psnrs = SET.prompts.map((_, i) => qualityOf(plan) + i);
        tried.set(plan.length, [...tried.get(plan.length) ?? [], { plan, psnr: meanOf(psnrs) }]);
        return Promise.resolve(psnrs);
      },
    },
    set: SET,
    calibration: CALIBRATION,
    costs: [COST],
    passes: { least: 5, most: 7 },
    limit: 60,
    hints: new Map(),
    onPasses: () => {},
    ...options,
  });
  return { found, tried };
}

/** PSNR that falls with the distance from a plan. */
const near = (goal: readonly number[]) => (plan: readonly number[]) =>
  60 - goal.reduce((sum, step, i) => sum + Math.abs(step - (plan[i] ?? STEPS)), 0);

const cost = (plan: readonly number[]) => COST.of(plan);
const RIVALS = rivalPlans({ cost: COST, steps: STEPS, most: 7 });

describe("searchPlans()", () => {
  it("climbs from the predicted plan to a better one", async () => {
    const predicted = COST.best(6)[5]!;
    const goal = predicted.map((step, i) => i === 2 || i === 4 ? step + 1 : step);
    const { found } = await search(near(goal));
    assert.deepEqual(found.get(6), goal);
  });

  it("returns the best of all plans that it drew, and draws no more than it may", async () => {
    // A quality that no prediction knows.
    const hash = (plan: readonly number[]) => plan.reduce((sum, step) => (sum * 31 + step) % 997, 7) / 100;
    const { found, tried } = await search(hash, { limit: 25 });
    for (const [passes, plans] of tried) {
      assert.ok(plans.length <= 25, `${passes}: ${plans.length}`);
      assert.equal(new Set(plans.map(({ plan }) => plan.join())).size, plans.length);
      const best = Math.max(...plans.map(({ psnr }) => psnr));
      assert.ok(hash(found.get(passes)!) + 1 > best - 0.02, `${passes}`);
    }
  });

  it("takes a plan by hand, by window or of another search if it is best", async () => {
    const limit = 2 * cost(COST.best(6)[5]!);
    const likely = RIVALS(6).filter(([, plan]) => cost(plan) < limit);
    assert.ok(likely.length > 3, `${likely.length}`);
    for (const [name, rival] of likely) {
      const { found } = await search((plan) => plan.join() === rival.join() ? 70 : 40);
      assert.deepEqual(found.get(6), rival, name);
    }
  });

  it("keeps the first given plan, and draws none, if it may draw only one", async () => {
    const hint = [0, 1, 2, 3, 4, 5];
    const { found, tried } = await search(() => 50, { hints: new Map([[6, [hint]]]), limit: 1 });
    assert.deepEqual(found.get(6), hint);
    assert.equal(found.get(5)!.length, 5);
    assert.equal(tried.size, 0);
  });

  it("tries the given plans, other methods' plans, and the neighbours' plans", async () => {
    const hint = COST.best(6)[5]!.map((step, i) => i === 3 ? step + 1 : step);
    const { tried } = await search((plan) => plan.join() === hint.join() ? 70 : 40, {
      hints: new Map([[6, [hint]]]),
      limit: 30,
    });
    const first = tried.get(6)![0]!.plan;
    assert.deepEqual(first, hint);
    // The plan of five passes is measured once more with one of the hint's passes left out.
    assert.ok(tried.get(5)!.some(({ plan }) => plan.every((step) => hint.includes(step))));
    assert.ok(tried.get(7)!.some(({ plan }) => hint.every((step) => plan.includes(step))));
  });
});
