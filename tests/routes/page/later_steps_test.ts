import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { completeStartImage } from "../../../gpu-worker/request/start_image.ts";
import { countLaterSteps } from "../../../routes/page/browser/later_steps.js";

const image = { width: 8, height: 8, data: new Float32Array(3 * 64) };

describe("countLaterSteps()", () => {
  it("countLaterSteps() equals the pipelines'", () => {
    for (const partialStep of ["run", "skip"] as const) {
      for (const steps of [1, 4, 28, 50, 999]) {
        for (const strength of [0.05, 0.3, 0.55, 0.6, 0.8, 1]) {
          const later = countLaterSteps(steps, { strength, partialStep });
          // Strengths that leave no step are refused.
          if (later === 0) continue;
          const rules = { strength: 0.5, partialStep };
          const { firstStep } = completeStartImage({ image, strength }, {
            width: 8,
            height: 8,
            steps,
            rules,
          })!;
          assert.equal(later, steps - firstStep, `${strength} of ${steps}, ${partialStep}`);
        }
      }
    }
  });
});
