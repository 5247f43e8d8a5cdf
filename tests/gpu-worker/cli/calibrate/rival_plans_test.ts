// The plans that a search must not lose to.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { parseCalibration } from "../../../../gpu-worker/checkpoint/calibration_file.ts";
import { PlanCosts } from "../../../../gpu-worker/cli/calibrate/plan_costs.ts";
import { rivalPlans, STORED, storedRivals } from "../../../../gpu-worker/cli/calibrate/rival_plans.ts";

const FILE = "models/emoji/calibration.json";
const CALIBRATION = { ...parseCalibration(Deno.readTextFileSync(FILE), FILE), path: FILE, digest: "" };
const STEPS = 20;
const cost = PlanCosts.byDistance(
  CALIBRATION,
  Float64Array.from({ length: STEPS }, (_, i) => CALIBRATION.grid[Math.round(i * 2.5)]!),
);

describe("rivalPlans()", () => {
  it("has plans by hand, by window and of other searches, all of the wanted number of passes", () => {
    const rivals = rivalPlans({ cost, steps: STEPS, most: 8 });
    for (const passes of [6, 8]) {
      const plans = rivals(passes);
      assert.deepEqual(plans.map(([name]) => name), [
        "by hand: even",
        "by hand: denser at the start",
        "by hand: denser at the end",
        "by hand: denser at both ends",
        "Spectrum's window",
        "TaylorSeer's window",
        "search for reuse",
        "search for Spectrum",
        "search for TaylorSeer, order 2",
        "search by predicted errors alone",
      ]);
      for (const [name, plan] of plans) {
        assert.equal(plan.length, passes, name);
        assert.equal(plan[0], 0, name);
        assert.ok(plan.every((step, i) => i === 0 || step > plan[i - 1]! && step < STEPS), name);
      }
    }
  });

  it("leaves out what a method cannot give", () => {
    const names = rivalPlans({ cost, steps: STEPS, most: 4 })(4).map(([name]) => name);
    assert.ok(!names.includes("Spectrum's window"));
  });
});

describe("storedRivals()", () => {
  const plan = (...fullSteps: number[]) => ({ fullSteps, psnr: 40 });

  it("has the stored plan, one made of a smaller plan, and one made of other steps' plans", () => {
    const plans = { 20: { 2: plan(0, 10), 3: plan(0, 4, 12) }, 10: { 3: plan(0, 3, 7) } };
    assert.deepEqual(storedRivals(plans, { passes: 3, steps: 20 }), [
      [STORED, [0, 4, 12]],
      ["plan of a pass less, and one more", [0, 5, 10]],
      ["plan for other steps, stretched", [0, 6, 14]],
    ]);
  });

  it("has what there is", () => {
    assert.deepEqual(storedRivals({}, { passes: 3, steps: 20 }), []);
    assert.deepEqual(storedRivals({ 20: { 3: plan(0, 4, 12) } }, { passes: 3, steps: 20 }), [[STORED, [
      0,
      4,
      12,
    ]]]);
  });
});
