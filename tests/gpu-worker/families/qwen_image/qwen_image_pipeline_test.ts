// Compares our Qwen-Image pipeline with diffusers' QwenImagePipeline: text, pictures of the autoencoder, and
// every recorded call from prompt to picture; settings, rejected checkpoints.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { encodeQwenImagePrompt } from "../../../../gpu-worker/families/qwen_image/encode_qwen_image_prompt.ts";
import { describeModel } from "../../../../gpu-worker/model/describe_model.ts";
import { goldenPath } from "../../../goldens/golden.ts";
import { ChangedCheckpoint } from "../../pipeline/changed_checkpoint.ts";
import { type RefusedCheckpoint, refusedCheckpoints } from "../../pipeline/refused_checkpoints.ts";
import { assertDrawnAlone, qwenPictureCases } from "../qwen_picture_cases.ts";

qwenPictureCases({
  pipelineClass: "QwenImagePipeline",
  checkpoints: { "qwen_image/tiny-image": 80, "qwen_image/tiny-static": 120 },
  size: { width: 48, height: 32 },
  encodePrompt: encodeQwenImagePrompt,
});

describe("readQwenImageCheckpoint()", () => {
  const folder = goldenPath("qwen_image/tiny-image");

  it("fills in QwenImagePipeline's defaults, or Qwen-Image's own size", () => {
    const { defaults } = describeModel(folder).reading;
    assert.deepEqual([defaults.steps, defaults.trueCfgScale, defaults.width], [50, 4, 1024]);
    using checkpoint = new ChangedCheckpoint(folder, { index: { _name_or_path: "Qwen/Qwen-Image" } });
    const { defaults: own } = describeModel(checkpoint.folder).reading;
    assert.deepEqual([own.steps, own.trueCfgScale, own.width, own.height], [50, 4, 1328, 1328]);
  });

  it("draws every picture alone, as prompts differ in length", () =>
    assertDrawnAlone(folder, { width: 16, height: 16 }));

  const REFUSED: RefusedCheckpoint[] = [
    [
      { index: { text_encoder: ["transformers", "Qwen3Model"] } },
      /'text_encoder' must be Qwen2_5_VLForConditionalGeneration.*Qwen3Model$/,
    ],
    [{ index: { vae: ["diffusers", "AutoencoderKLWan"] } }, /'vae' must be AutoencoderKLQwenImage/],
    [{ transformer: { use_additional_t_cond: true } }, /'use_additional_t_cond'.*with layers/],
    [
      { transformer: { joint_attention_dim: 20 } },
      /'joint_attention_dim' must be the text encoder's 'hidden_size' \(24\).* 20$/,
    ],
    [
      { transformer: { in_channels: 16, out_channels: 4 } },
      /'in_channels' must be four times the autoencoder's 'z_dim' \(64\).* 16$/,
    ],
    [{ scheduler: { _class_name: "FlowMatchEulerDiscreteScheduler", surprise: 1 } }, /'surprise'/],
  ];
  refusedCheckpoints(folder, REFUSED);
});
