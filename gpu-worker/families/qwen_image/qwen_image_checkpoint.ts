// Reads a Qwen-Image checkpoint: scheduler, defaults, rules, and the function that builds its
// graphs. Nothing is loaded on a device.
import { assertFit } from "../../checkpoint/assert_fit.ts";
import { checkScheduler } from "../../checkpoint/check_scheduler.ts";
import type { Checkpoint, Component } from "../../checkpoint/checkpoint.ts";
import { requestDefaults } from "../../checkpoint/stored_defaults.ts";
import type { OnnxModel } from "../../graph/graph_builder.ts";
import { parseQwenConfig } from "../../graph/text_encoders/qwen_config.ts";
import { qwenEncoderGraph } from "../../graph/text_encoders/qwen_encoder.ts";
import { parseAutoencoderKLQwenImageConfig, type WanVaeConfig } from "../../graph/wan_vae/wan_vae_config.ts";
import { wanVaePictureGraph } from "../../graph/wan_vae/wan_vae_decoder.ts";
import { wanVaeEncoderGraph } from "../../graph/wan_vae/wan_vae_encoder.ts";
import type { FamilyReading } from "../../pipeline/family.ts";
import { openQwenPicture, qwenPictureReading } from "../../pipeline/qwen_picture.ts";
import { PATCH } from "../../pipeline/patch_packing.ts";
import type { DType } from "../../runtime/dtype.ts";
import { parseQwenImageConfig, type QwenImageConfig } from "./qwen_image_config.ts";
import { qwenImageTransformerGraphs } from "./qwen_image_transformer.ts";

export interface QwenImageCheckpoint extends FamilyReading {
  config: QwenImageConfig;
  vaeConfig: WanVaeConfig;
  tokenizers: Record<"qwen", string>;
  buildGraphs():
    & Record<"qwen" | "trunk" | "head" | "modulation" | "vae", OnnxModel>
    & { vaeEncoder?: OnnxModel };
}

/** QwenImagePipeline's defaults. Its guidance needs a negative prompt there, here it does not. */
const PRESET = { steps: 50, guidanceScale: 0, trueCfgScale: 4, maxSequenceLength: 512, sampler: {} };
/** QwenImagePipeline's limit. */
const MAX_SEQUENCE_LENGTH = 1024;
/** diffusers' default_sample_size, in latent pixels. */
const DEFAULT_SAMPLE_SIZE = 128;

/** The components of a checkpoint, and what their configs say. */
export interface QwenImageParts extends
  Pick<
    QwenImageCheckpoint,
    "config" | "vaeConfig" | "scheduler" | "latentScale" | "rules" | "decoding" | "conditioningElements"
  > {
  transformer: Component;
  vae: Component;
  qwen: Component;
}

export const QWEN_IMAGE_ENCODER = "qwen2_5_vl";

/**
 * Reads and checks the components that every pipeline class of Qwen-Image has.
 * @throws {CheckpointError} if a component is missing, damaged or unsupported.
 */
export function readQwenImageParts(checkpoint: Checkpoint): QwenImageParts {
  const { transformer, vae, qwen } = openQwenPicture(checkpoint, {
    transformer: "QwenImageTransformer2DModel",
    vae: "AutoencoderKLQwenImage",
    textEncoder: "Qwen2_5_VLForConditionalGeneration",
  });
  const config = parseQwenImageConfig(transformer.config);
  const vaeConfig = parseAutoencoderKLQwenImageConfig(vae.config, "vae/config.json");
  const { hiddenSize } = parseQwenConfig(qwen.config, { architecture: QWEN_IMAGE_ENCODER, name: qwen.name });
  const { inChannels, jointAttentionDim } = config;
  assertFit("joint_attention_dim", {
    value: jointAttentionDim,
    expected: hiddenSize,
    of: "the text encoder's 'hidden_size'",
  });
  assertFit("in_channels", {
    value: inChannels,
    expected: vaeConfig.latentChannels * PATCH ** 2,
    of: "four times the autoencoder's 'z_dim'",
  });
  const scheduler = checkScheduler(checkpoint.scheduler(), { sigmas: [1], imageSeqLen: 1 });
  const shared = qwenPictureReading({
    vaeConfig,
    innerDim: config.innerDim,
    patch: PATCH,
    maxSequenceLength: MAX_SEQUENCE_LENGTH,
  });
  return { ...shared, config, vaeConfig, scheduler, transformer, vae, qwen };
}

/**
 * Reads and checks the checkpoint.
 * @throws {CheckpointError} if a component is missing, damaged or unsupported.
 */
export function readQwenImageCheckpoint(checkpoint: Checkpoint, dtype: DType): QwenImageCheckpoint {
  const { transformer, vae, qwen, ...parts } = readQwenImageParts(checkpoint);
  const { vaeConfig } = parts;
  const side = DEFAULT_SAMPLE_SIZE * vaeConfig.spatialScale;
  return {
    ...parts,
    tokenizers: { qwen: checkpoint.path("tokenizer") },
    defaults: requestDefaults(checkpoint, { ...PRESET, width: side, height: side }),
    rules: {
      ...parts.rules,
      // The default of QwenImageImg2ImgPipeline and QwenImageInpaintPipeline.
      ...vaeConfig.hasEncoder && { startImage: { strength: 0.6, partialStep: "run" } },
    },
    buildGraphs: () => ({
      qwen: qwenEncoderGraph({
        ...qwen,
        architecture: QWEN_IMAGE_ENCODER,
        dtype,
        states: [-1],
        finalNorm: true,
      }),
      ...qwenImageTransformerGraphs({ ...transformer, dtype }),
      vae: wanVaePictureGraph({ config: vaeConfig, weights: vae.weights }),
      ...vaeConfig.hasEncoder &&
        { vaeEncoder: wanVaeEncoderGraph({ config: vaeConfig, weights: vae.weights }) },
    }),
  };
}
