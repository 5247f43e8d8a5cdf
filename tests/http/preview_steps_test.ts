import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { previewSteps } from "../../gpu-worker/http/preview_steps.ts";

describe("previewSteps()", () => {
  it("previewSteps() spreads previews evenly", () => {
    assert.deepEqual(previewSteps(0, 50), []);
    assert.deepEqual(previewSteps(1, 50), [24]);
    assert.deepEqual(previewSteps(3, 50), [12, 24, 37]);
  });

  it("previewSteps() leaves the last step to the picture", () => {
    for (let steps = 1; steps <= 10; steps++) {
      const indices = previewSteps(3, steps);
      assert.ok(indices.every((index) => index >= 0 && index < steps - 1), `${steps}: ${indices}`);
      assert.equal(new Set(indices).size, indices.length);
    }
  });
});
