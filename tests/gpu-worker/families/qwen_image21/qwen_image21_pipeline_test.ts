// Compares our Qwen-Image-2.1 pipeline with diffusers' QwenImage21Pipeline: text, pictures of the
// autoencoder, and every recorded call from prompt to picture; settings, rejected checkpoints.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { encodeQwenImage21Prompt } from "../../../../gpu-worker/families/qwen_image21/encode_qwen_image21_prompt.ts";
import { describeModel } from "../../../../gpu-worker/model/describe_model.ts";
import { goldenPath } from "../../../goldens/golden.ts";
import { type RefusedCheckpoint, refusedCheckpoints } from "../../pipeline/refused_checkpoints.ts";
import { assertDrawnAlone, qwenPictureCases } from "../qwen_picture_cases.ts";

qwenPictureCases({
  pipelineClass: "QwenImage21Pipeline",
  checkpoints: { "qwen_image21/tiny-21": 1024, "qwen_image21/tiny-plain": 1024 },
  size: { width: 24, height: 16 },
  encodePrompt: encodeQwenImage21Prompt,
});

describe("readQwenImage21Checkpoint()", () => {
  const folder = goldenPath("qwen_image21/tiny-21");

  it("fills in QwenImage21Pipeline's defaults, and one step for each sigma of its own", () => {
    const { defaults } = describeModel(goldenPath("qwen_image21/tiny-plain")).reading;
    assert.deepEqual([defaults.steps, defaults.trueCfgScale, defaults.width], [40, 1, 1024]);
    assert.equal(describeModel(folder).reading.defaults.steps, 8);
  });

  it("draws every picture alone, as prompts differ in length", () =>
    assertDrawnAlone(folder, { width: 8, height: 8 }));

  const REFUSED: RefusedCheckpoint[] = [
    [
      { index: { text_encoder: ["transformers", "Qwen3Model"] } },
      /'text_encoder' must be Qwen3VLForConditionalGeneration.*Qwen3Model$/,
    ],
    [{ index: { vae: ["diffusers", "AutoencoderKLQwenImage"] } }, /'vae' must be AutoencoderKLQwenImage21/],
    [{ index: { sample_sigmas: [1, "x"] } }, /'sample_sigmas\.1'/],
    [{ index: { sample_sigmas: [] } }, /'sample_sigmas'/],
    [
      { transformer: { context_in_dim: 20 } },
      /'context_in_dim' must be the text encoder's 'hidden_size' \(16\).* 20$/,
    ],
    [
      { transformer: { in_channels: 16, out_channels: 16 } },
      /'in_channels' must be the autoencoder's 'z_dim' \(8\).* 16$/,
    ],
    [{ scheduler: { _class_name: "FlowMatchEulerDiscreteScheduler", surprise: 1 } }, /'surprise'/],
  ];
  refusedCheckpoints(folder, REFUSED);
});
