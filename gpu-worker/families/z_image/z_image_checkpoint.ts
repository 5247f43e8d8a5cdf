// Reads a Z-Image checkpoint: scheduler, defaults, rules, and the function that builds its graphs.
// Nothing is loaded on a device.
import { checkScheduler } from "../../checkpoint/check_scheduler.ts";
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import { assertFit } from "../../checkpoint/assert_fit.ts";
import { requestDefaults } from "../../checkpoint/stored_defaults.ts";
import {
  type AutoencoderKLConfig,
  parseAutoencoderKLConfig,
} from "../../graph/autoencoder_kl/autoencoder_kl_config.ts";
import { autoencoderKLDecoderGraph } from "../../graph/autoencoder_kl/autoencoder_kl_decoder.ts";
import { autoencoderKLEncoderGraph } from "../../graph/autoencoder_kl/autoencoder_kl_encoder.ts";
import { withLatentNumbers } from "../../graph/autoencoder_kl/with_latent_numbers.ts";
import type { OnnxModel } from "../../graph/graph_builder.ts";
import { parseQwenConfig, QWEN_CLASSES } from "../../graph/text_encoders/qwen_config.ts";
import { qwenEncoderGraph } from "../../graph/text_encoders/qwen_encoder.ts";
import type { FamilyReading } from "../../pipeline/family.ts";
import { MAX_PIXELS_PER_SIDE } from "../../request/request_limits.ts";
import type { DType } from "../../runtime/dtype.ts";
import { decodingSize } from "../../vae/decoding_size.ts";
import {
  parseZImageTransformerConfig,
  PATCH,
  TOKEN_MULTIPLE,
  type ZImageTransformerConfig,
} from "./z_image_config.ts";
import { zImageTransformerGraphs } from "./z_image_transformer.ts";

export interface ZImageCheckpoint extends FamilyReading {
  config: ZImageTransformerConfig;
  vaeConfig: AutoencoderKLConfig;
  tokenizers: Record<"qwen", string>;
  buildGraphs(): Record<"qwen" | "trunk" | "head" | "modulation" | "vae" | "vaeEncoder", OnnxModel>;
}

/** ZImagePipeline's defaults. */
const PRESET = { steps: 50, guidanceScale: 5, trueCfgScale: 1, sampler: {} };
export const Z_IMAGE_GUIDANCE = { guidance: "cfg", unguidedScale: 0 } as const;
const SIDE = 1024;
const MAX_SEQUENCE_LENGTH = 512;
const ARCHITECTURE = "qwen3";
/** diffusers' hidden_states[-2]: the input of the text encoder's last layer. */
const STATES = [-2];

/**
 * Reads and checks the checkpoint.
 * @throws {CheckpointError} if a component is missing, damaged or unsupported.
 */
export function readZImageCheckpoint(checkpoint: Checkpoint, dtype: DType): ZImageCheckpoint {
  checkpoint.requireClass("transformer", "ZImageTransformer2DModel");
  checkpoint.requireClass("vae", "AutoencoderKL");
  checkpoint.requireClass("scheduler", "FlowMatchEulerDiscreteScheduler");
  checkpoint.requireClass("text_encoder", ...QWEN_CLASSES[ARCHITECTURE]);
  const transformer = checkpoint.component("transformer", "diffusion_pytorch_model");
  const vae = withLatentNumbers(checkpoint.component("vae", "diffusion_pytorch_model"), "shift");
  const qwen = checkpoint.component("text_encoder", "model");

  const config = parseZImageTransformerConfig(transformer.config);
  const vaeConfig = parseAutoencoderKLConfig(vae.config, "vae/config.json");
  const { hiddenSize } = parseQwenConfig(qwen.config, { architecture: ARCHITECTURE });
  assertFit("cap_feat_dim", {
    value: config.capFeatDim,
    expected: hiddenSize,
    of: "the text encoder's 'hidden_size'",
  });
  assertFit("in_channels", {
    value: config.inChannels,
    expected: vaeConfig.latent_channels,
    of: "the autoencoder's 'latent_channels'",
  });
  const scheduler = checkScheduler(checkpoint.scheduler(), { sigmas: [1], imageSeqLen: 1 });
  const vaeScale = 2 ** (vaeConfig.block_out_channels.length - 1);
  const sizeMultiple = PATCH * vaeScale;
  const [positions, rows, columns] = config.axesLens as [number, number, number];
  const maxSide = Math.min(Math.min(rows, columns) * sizeMultiple, MAX_PIXELS_PER_SIDE);
  const side = Math.min(SIDE, maxSide);
  // The padded text's positions begin at 1, and the image has the position after them.
  const maxSequenceLength = Math.floor((positions - 2) / TOKEN_MULTIPLE) * TOKEN_MULTIPLE;
  return {
    config,
    vaeConfig,
    scheduler,
    latentScale: { channels: config.inChannels, spatial: vaeScale },
    tokenizers: { qwen: checkpoint.path("tokenizer") },
    defaults: requestDefaults(checkpoint, {
      ...PRESET,
      width: side,
      height: side,
      maxSequenceLength: Math.min(MAX_SEQUENCE_LENGTH, maxSequenceLength),
    }),
    rules: {
      sizeMultiple,
      maxSide,
      maxSequenceLength,
      ...Z_IMAGE_GUIDANCE,
      // Inverted sigmas would begin guidance in mid-run instead of ending it.
      guidanceLimits: scheduler["invert_sigmas"] !== true,
      drawnAlone: true,
      // The defaults of ZImageImg2ImgPipeline and ZImageInpaintPipeline.
      startImage: { strength: 0.6, maskStrength: 1, partialStep: "run" },
    },
    decoding: decodingSize(vaeConfig),
    // Each branch is a call of its own.
    conditioningElements: ({ maxSequenceLength }) => maxSequenceLength * config.dim,
    buildGraphs: () => ({
      qwen: qwenEncoderGraph({ ...qwen, architecture: ARCHITECTURE, dtype, states: STATES }),
      ...zImageTransformerGraphs({ ...transformer, dtype }),
      vae: autoencoderKLDecoderGraph({ ...vae, dtype: "float32" }),
      vaeEncoder: autoencoderKLEncoderGraph({ ...vae, dtype: "float32" }),
    }),
  };
}
