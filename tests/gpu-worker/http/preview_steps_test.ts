import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { previewSteps } from "../../../gpu-worker/http/preview_steps.ts";
import { planSteps, resolveSamplerOptions } from "../../../sampler/mod.ts";

const none = (steps: number) => planSteps(steps, resolveSamplerOptions({ method: "none" }, steps));
const spectrum = (steps: number) => planSteps(steps, resolveSamplerOptions({ method: "spectrum" }, steps));

describe("previewSteps()", () => {
  it("previewSteps() spreads previews evenly where all steps are full", () => {
    assert.deepEqual(previewSteps(0, none(50)), []);
    assert.deepEqual(previewSteps(1, none(50)), [24]);
    assert.deepEqual(previewSteps(3, none(50)), [11, 24, 36]);
  });

  it("previewSteps() follows the full passes where steps are forecast", () => {
    const plan = spectrum(50);
    const shares = previewSteps(3, plan).map((index) => {
      const passes = plan.slice(0, index + 1).filter((kind) => kind === "full").length;
      return passes / plan.filter((kind) => kind === "full").length;
    });
    for (const [i, share] of shares.entries()) assert.ok(Math.abs(share - (i + 1) / 4) < 0.1, `${shares}`);
  });

  it("previewSteps() leaves the last step to the picture", () => {
    for (let steps = 1; steps <= 10; steps++) {
      const indices = previewSteps(3, none(steps));
      assert.ok(indices.every((index) => index >= 0 && index < steps - 1), `${steps}: ${indices}`);
      assert.equal(indices.length, Math.min(3, steps - 1));
    }
  });
});
