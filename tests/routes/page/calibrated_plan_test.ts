import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import * as page from "../../../routes/page/browser/calibrated_plan.js";
import * as sampler from "../../../sampler/mod.ts";

const PLANS = {
  20: { 4: { fullSteps: [0, 6, 13, 18], psnr: 36 }, 6: { fullSteps: [0, 2, 6, 11, 15, 18], psnr: 45 } },
  50: {
    4: { fullSteps: [0, 7, 24, 40], psnr: 35 },
    5: { fullSteps: [0, 5, 13, 30, 44], psnr: 40 },
    8: { fullSteps: [0, 4, 9, 15, 22, 30, 38, 46], psnr: 51 },
  },
};

// The page has a copy of the sampler's choice, as browsers do not run TypeScript.
describe("the page's calibrated plans", () => {
  it("equal the sampler's for each number of passes, steps and skipped steps", () => {
    for (const steps of [1, 8, 20, 28, 50, 120]) {
      for (const skipped of [0, Math.floor(steps / 3)]) {
        const run = { steps, skipped };
        for (const passes of [1, 3, 4, 6, 7, 12]) {
          if (passes > steps - skipped) continue;
          assert.deepEqual(page.planOfPasses(PLANS, passes, run), sampler.planOfPasses(PLANS, passes, run));
          assert.deepEqual(page.planOfWhole(PLANS, passes, run), sampler.planOfWhole(PLANS, passes, run));
        }
        for (const psnr of [30, 42, 48, 99]) {
          assert.deepEqual(page.planOfQuality(PLANS, psnr, run), sampler.planOfQuality(PLANS, psnr, run));
        }
      }
    }
  });

  it("are read from a model card", () => {
    const calibration = {
      steps: 50,
      psnr: { 50: { 4: 35 } },
      full_steps: { 50: { 4: [0, 7, 24, 40] } },
    };
    assert.deepEqual(page.measuredPlans(calibration), { 50: { 4: PLANS[50][4] } });
    assert.equal(page.measuredPlans({ steps: 50, psnr: {} }), undefined);
  });
});
