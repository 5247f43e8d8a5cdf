// Reads a Qwen-Image-2.1 checkpoint: scheduler, defaults, rules, and the function that builds its
// graphs. Nothing is loaded on a device.
import { assertFit } from "../../checkpoint/assert_fit.ts";
import { z } from "zod";
import { checkScheduler } from "../../checkpoint/check_scheduler.ts";
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import { parseConfig } from "../../checkpoint/parse_config.ts";
import { requestDefaults } from "../../checkpoint/stored_defaults.ts";
import type { OnnxModel } from "../../graph/graph_builder.ts";
import { parseQwenConfig } from "../../graph/text_encoders/qwen_config.ts";
import { qwenEncoderGraph } from "../../graph/text_encoders/qwen_encoder.ts";
import {
  parseAutoencoderKLQwenImage21Config,
  type WanVaeConfig,
} from "../../graph/wan_vae/wan_vae_config.ts";
import { wanVaePictureGraph } from "../../graph/wan_vae/wan_vae_decoder.ts";
import type { FamilyReading } from "../../pipeline/family.ts";
import { openQwenPicture, qwenPictureReading } from "../../pipeline/qwen_picture.ts";
import type { DType } from "../../runtime/dtype.ts";
import { parseQwenImage21Config, type QwenImage21Config } from "./qwen_image21_config.ts";
import { qwenImage21TransformerGraphs } from "./qwen_image21_transformer.ts";

export interface QwenImage21Checkpoint extends FamilyReading {
  config: QwenImage21Config;
  vaeConfig: WanVaeConfig;
  tokenizers: Record<"qwen", string>;
  /** The pipeline's own sigmas, for as many steps. Undefined if it has none. */
  sampleSigmas: readonly number[] | undefined;
  buildGraphs(): Record<"qwen" | "trunk" | "head" | "modulation" | "vae", OnnxModel>;
}

/** QwenImage21Pipeline's defaults. It cuts no prompt; here a prompt has a limit. */
const PRESET = {
  steps: 40,
  width: 1024,
  height: 1024,
  guidanceScale: 0,
  trueCfgScale: 1,
  maxSequenceLength: 1024,
  sampler: {},
};
const MAX_SEQUENCE_LENGTH = 4096;
/** The pipeline counts the image's tokens in squares of this side. */
const SLOT = 2;
const ARCHITECTURE = "qwen3_vl";
/** The pipeline's own option, in model_index.json. */
const OPTIONS = z.strictObject({ sample_sigmas: z.array(z.number().positive()).nonempty().nullish() });

/**
 * Reads and checks the checkpoint.
 * @throws {CheckpointError} if a component is missing, damaged or unsupported.
 */
export function readQwenImage21Checkpoint(checkpoint: Checkpoint, dtype: DType): QwenImage21Checkpoint {
  const { transformer, vae, qwen } = openQwenPicture(checkpoint, {
    transformer: "QwenImage21Transformer2DModel",
    vae: "AutoencoderKLQwenImage21",
    textEncoder: "Qwen3VLForConditionalGeneration",
  });
  const config = parseQwenImage21Config(transformer.config);
  const vaeConfig = parseAutoencoderKLQwenImage21Config(vae.config, "vae/config.json");
  const { hiddenSize } = parseQwenConfig(qwen.config, { architecture: ARCHITECTURE, name: qwen.name });
  const { inChannels, contextInDim } = config;
  assertFit("context_in_dim", {
    value: contextInDim,
    expected: hiddenSize,
    of: "the text encoder's 'hidden_size'",
  });
  assertFit("in_channels", {
    value: inChannels,
    expected: vaeConfig.latentChannels,
    of: "the autoencoder's 'z_dim'",
  });
  const { sample_sigmas } = checkpoint.json("model_index.json");
  const options = parseConfig(OPTIONS, { sample_sigmas }, {
    className: "QwenImage21Pipeline",
    path: checkpoint.path("model_index.json"),
  });
  const sampleSigmas = options.sample_sigmas ?? undefined;
  const scheduler = checkScheduler(checkpoint.scheduler(), { sigmas: [1], imageSeqLen: 1 });
  return {
    ...qwenPictureReading({
      vaeConfig,
      innerDim: config.innerDim,
      patch: SLOT,
      maxSequenceLength: MAX_SEQUENCE_LENGTH,
    }),
    config,
    vaeConfig,
    scheduler,
    sampleSigmas,
    tokenizers: { qwen: checkpoint.path("processor") },
    defaults: requestDefaults(checkpoint, { ...PRESET, steps: sampleSigmas?.length ?? PRESET.steps }),
    buildGraphs: () => ({
      qwen: qwenEncoderGraph({ ...qwen, architecture: ARCHITECTURE, dtype, states: [-1] }),
      ...qwenImage21TransformerGraphs({ ...transformer, dtype }),
      vae: wanVaePictureGraph({ config: vaeConfig, weights: vae.weights }),
    }),
  };
}
