import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { imageTokens } from "../../../gpu-worker/http/image_tokens.ts";
import { readModel } from "../../../gpu-worker/model/read_model.ts";
import { goldenPath } from "../../goldens/golden.ts";

const count = (model: string, { dims, width, height }: { dims: number[]; width: number; height: number }) => {
  const { rules } = readModel(model).reading;
  return imageTokens({ latents: { dims, data: new Float32Array() } }, { request: { width, height }, rules });
};

describe("imageTokens()", () => {
  it("imageTokens() counts patches of transformers and latent pixels of UNets", () => {
    // Packed two by two: 64 pixels are 8 latents, 4 tokens a side.
    assert.equal(count("models/emoji", { dims: [1, 64, 64], width: 64, height: 64 }), 64);
    const { sizeMultiple } = readModel(goldenPath("sd3/tiny-large")).reading.rules;
    const size = { width: 6 * sizeMultiple, height: 4 * sizeMultiple };
    assert.equal(count(goldenPath("sd3/tiny-large"), { dims: [1, 4, 8, 12], ...size }), 24);
    assert.equal(count(goldenPath("sdxl/tiny-sd15"), { dims: [1, 4, 8, 12], width: 24, height: 16 }), 96);
  });

  it("imageTokens() counts the latent frames of a video", () => {
    const rules = { sizeMultiple: 16 };
    const latents = { dims: [1, 16, 21, 60, 104], data: new Float32Array() };
    assert.equal(
      imageTokens({ latents }, { request: { width: 832, height: 480 }, rules }),
      21 * 30 * 52,
    );
  });
});
