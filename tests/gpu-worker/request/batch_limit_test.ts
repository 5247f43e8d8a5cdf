import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { describeModel } from "../../../gpu-worker/model/describe_model.ts";
import { batchLimit } from "../../../gpu-worker/request/batch_limit.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";
import type { PartialRequest } from "../../../gpu-worker/request/generate_request.ts";
import { goldenPath } from "../../goldens/golden.ts";

function limit(fields: Partial<PartialRequest>, model = "models/emoji"): number {
  const { reading } = describeModel(model);
  return batchLimit(completeRequest({ prompt: "a crab", seed: 1, ...fields }, reading), reading.rules);
}

describe("batchLimit()", () => {
  it("is the number that fills a pass, and 1 if runs go their own ways", () => {
    assert.equal(limit({}), 8);
    assert.equal(limit({ trueCfgScale: 1 }), 16);
    assert.equal(limit({ width: 128, height: 128 }), 2);
    assert.equal(limit({ width: 512, height: 512 }), 1);
    assert.equal(limit({ sampler: { windowSize: 2, warmupSteps: 5, errorBudget: 0.1 } }), 1);
  });

  it("counts the pixels of a UNet's latents, and leaves videos alone", () => {
    assert.equal(limit({ width: 24, height: 16, guidanceScale: 1 }, goldenPath("sdxl/tiny-sd15")), 10);
    assert.equal(limit({ width: 24, height: 16 }, goldenPath("sdxl/tiny-sd15")), 5);
    assert.equal(limit({ width: 32, height: 32, numFrames: 1 }, goldenPath("wan/tiny-euler")), 1);
  });
});
