import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import {
  type MeasuredPlans,
  measuredPsnr,
  planOfPasses,
  planOfQuality,
  planOfWhole,
} from "../../../sampler/mod.ts";

const PLANS: MeasuredPlans = {
  20: {
    3: { fullSteps: [0, 6, 14], psnr: 33 },
    4: { fullSteps: [0, 5, 10, 16], psnr: 41 },
    6: { fullSteps: [0, 2, 5, 9, 14, 18], psnr: 49 },
  },
  50: { 5: { fullSteps: [0, 7, 19, 33, 45], psnr: 44 } },
};

describe("planOfPasses()", () => {
  it("is the plan that was measured, where there is one", () => {
    assert.deepEqual(planOfPasses(PLANS, 4, { steps: 20 }), [0, 5, 10, 16]);
    assert.deepEqual(planOfPasses(PLANS, 5, { steps: 50 }), [0, 7, 19, 33, 45]);
  });

  it("stretches the plan of the nearest number of steps", () => {
    assert.deepEqual(planOfPasses(PLANS, 4, { steps: 30 }), [0, 8, 15, 24]);
    assert.deepEqual(planOfPasses(PLANS, 5, { steps: 100 }), [0, 14, 38, 66, 90]);
  });

  it("has the requested number of passes for every run", () => {
    for (const steps of [1, 2, 7, 20, 28, 50, 333]) {
      for (const skipped of [0, Math.floor(steps / 2)]) {
        for (const passes of [1, 2, 3, 5, 6, 11, 40]) {
          const plan = planOfPasses(PLANS, passes, { steps, skipped });
          const name = `${passes} of ${steps} after ${skipped}: ${plan}`;
          assert.equal(plan.length, Math.min(passes, steps - skipped), name);
          assert.ok(plan.every((step, i) => i === 0 ? step === 0 : step > plan[i - 1]!), name);
          assert.ok(plan.at(-1)! < steps - skipped, name);
        }
      }
    }
  });
});

describe("planOfQuality()", () => {
  it("has the fewest passes that reach it, else the plan that reaches most", () => {
    assert.equal(planOfQuality(PLANS, 33, { steps: 20 }).length, 3);
    assert.equal(planOfQuality(PLANS, 42, { steps: 20 }).length, 6);
    assert.equal(planOfQuality(PLANS, 60, { steps: 20 }).length, 6);
  });
});

describe("planOfWhole()", () => {
  it("leaves out the passes of steps that an image replaces", () => {
    assert.deepEqual(planOfWhole(PLANS, 6, { steps: 20, skipped: 8 }), [0, 1, 6, 10]);
  });
});

describe("measuredPsnr()", () => {
  it("speaks of no other plan than the one that was measured", () => {
    assert.equal(measuredPsnr(PLANS, { fullSteps: [0, 6, 14], steps: 20 }), 33);
    assert.equal(measuredPsnr(PLANS, { fullSteps: [0, 6, 15], steps: 20 }), undefined);
    assert.equal(measuredPsnr(PLANS, { fullSteps: [0, 6, 14], steps: 30 }), undefined);
  });
});
