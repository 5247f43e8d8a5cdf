import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { describeModel } from "../../../gpu-worker/model/describe_model.ts";
import { imageTokens } from "../../../gpu-worker/request/image_tokens.ts";
import { goldenPath } from "../../goldens/golden.ts";

const count = (model: string, size: { width: number; height: number }) =>
  imageTokens({ ...size, numFrames: 1 }, describeModel(model).reading.rules);

describe("imageTokens()", () => {
  it("imageTokens() counts patches of transformers and latent pixels of UNets", () => {
    // Latents are packed two by two: 64 pixels are 8 latents and 4 tokens a side.
    assert.equal(count("models/emoji", { width: 64, height: 64 }), 64);
    const { sizeMultiple } = describeModel(goldenPath("sd3/tiny-large")).reading.rules;
    const size = { width: 6 * sizeMultiple, height: 4 * sizeMultiple };
    assert.equal(count(goldenPath("sd3/tiny-large"), size), 24);
    assert.equal(count(goldenPath("sdxl/tiny-sd15"), { width: 24, height: 16 }), 96);
  });

  it("imageTokens() counts the latent frames of a video", () => {
    const rules = { sizeMultiple: 16, video: { frameStep: 4, maxFrames: 81 } };
    assert.equal(imageTokens({ width: 832, height: 480, numFrames: 81 }, rules), 21 * 30 * 52);
  });
});
