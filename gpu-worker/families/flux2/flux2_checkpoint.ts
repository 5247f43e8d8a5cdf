// Reads a FLUX.2 klein checkpoint: scheduler, defaults, rules, and the function that builds its graphs.
// Nothing is loaded on a device.
import { checkScheduler } from "../../checkpoint/check_scheduler.ts";
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import { assertFit } from "../../checkpoint/assert_fit.ts";
import { requestDefaults } from "../../checkpoint/stored_defaults.ts";
import type { AutoencoderKLConfig } from "../../graph/autoencoder_kl/autoencoder_kl_config.ts";
import type { OnnxModel } from "../../graph/graph_builder.ts";
import { parseQwenConfig, QWEN_CLASSES } from "../../graph/text_encoders/qwen_config.ts";
import { qwenEncoderGraph } from "../../graph/text_encoders/qwen_encoder.ts";
import type { FamilyReading } from "../../pipeline/family.ts";
import type { DType } from "../../runtime/dtype.ts";
import { refuseLeftPadding } from "../../text/refuse_left_padding.ts";
import { decodingSize } from "../../vae/decoding_size.ts";
import { type Flux2TransformerConfig, parseFlux2TransformerConfig } from "./flux2_config.ts";
import { flux2TransformerGraphs } from "./flux2_transformer.ts";
import { flux2References } from "./flux2_references.ts";
import { flux2VaeDecoderGraph, flux2VaeEncoderGraph, parseFlux2VaeConfig, PATCH } from "./flux2_vae.ts";

export interface Flux2Checkpoint extends FamilyReading {
  config: Flux2TransformerConfig;
  vaeConfig: AutoencoderKLConfig;
  tokenizers: Record<"qwen", string>;
  buildGraphs(): Record<"qwen" | "trunk" | "head" | "modulation" | "vae" | "vaeEncoder", OnnxModel>;
}

/** Settings in the cards of FLUX.2 klein base and of FLUX.2 klein, which is distilled to a few steps. */
const BASE = { steps: 50, guidanceScale: 4 };
const DISTILLED = { steps: 4, guidanceScale: 0 };
/** Flux2KleinPipeline's limit, to which it pads every prompt. */
const MAX_SEQUENCE_LENGTH = 512;
/** diffusers' default_sample_size, in the autoencoder's latent pixels. */
const DEFAULT_SAMPLE_SIZE = 128;
const ARCHITECTURE = "qwen3";
/** Flux2KleinPipeline's text_encoder_out_layers. */
const STATES = [9, 18, 27];

/**
 * Reads and checks the checkpoint.
 * @throws {CheckpointError} if a component is missing, damaged or unsupported.
 */
export function readFlux2Checkpoint(checkpoint: Checkpoint, dtype: DType): Flux2Checkpoint {
  checkpoint.requireClass("transformer", "Flux2Transformer2DModel");
  checkpoint.requireClass("vae", "AutoencoderKLFlux2");
  checkpoint.requireClass("scheduler", "FlowMatchEulerDiscreteScheduler");
  checkpoint.requireClass("text_encoder", ...QWEN_CLASSES[ARCHITECTURE]);
  const transformer = checkpoint.component("transformer", "diffusion_pytorch_model");
  const vae = checkpoint.component("vae", "diffusion_pytorch_model");
  const qwen = checkpoint.component("text_encoder", "model");

  const config = parseFlux2TransformerConfig(transformer.config);
  const { decoder: vaeConfig, latentChannels, scale } = parseFlux2VaeConfig(vae.config);
  const { hiddenSize } = parseQwenConfig(qwen.config, { architecture: ARCHITECTURE });
  assertFit("joint_attention_dim", {
    value: config.jointAttentionDim,
    expected: STATES.length * hiddenSize,
    of: `${STATES.length} times the text encoder's 'hidden_size'`,
  });
  assertFit("in_channels", {
    value: config.inChannels,
    expected: PATCH ** 2 * latentChannels,
    of: `${PATCH ** 2} times the autoencoder's 'latent_channels'`,
  });
  // The states of padding are used, and their places in the text count.
  refuseLeftPadding(checkpoint);
  const scheduler = checkScheduler(checkpoint.scheduler(), { sigmas: [1], mu: 1 });
  const side = DEFAULT_SAMPLE_SIZE * scale;
  const isDistilled = checkpoint.json("model_index.json")["is_distilled"] === true;
  const spatial = PATCH * scale;
  return {
    config,
    vaeConfig,
    scheduler,
    latentScale: { channels: config.inChannels, spatial },
    tokenizers: { qwen: checkpoint.path("tokenizer") },
    defaults: requestDefaults(checkpoint, {
      ...isDistilled ? DISTILLED : BASE,
      width: side,
      height: side,
      trueCfgScale: 1,
      maxSequenceLength: MAX_SEQUENCE_LENGTH,
      sampler: {},
    }),
    rules: {
      sizeMultiple: spatial,
      maxSequenceLength: MAX_SEQUENCE_LENGTH,
      guidance: isDistilled ? "none" : "cfg",
      references: flux2References(spatial),
    },
    decoding: decodingSize(vaeConfig, spatial),
    conditioningElements: ({ maxSequenceLength, guidanceScale }) =>
      (guidanceScale > 1 ? 2 : 1) * maxSequenceLength * config.innerDim,
    buildGraphs: () => ({
      qwen: qwenEncoderGraph({
        ...qwen,
        architecture: ARCHITECTURE,
        dtype,
        states: STATES,
        // As transformers does, if the model ends with the last of these layers.
        finalNorm: true,
        masksPadding: true,
      }),
      ...flux2TransformerGraphs({ ...transformer, dtype }),
      vae: flux2VaeDecoderGraph(vae),
      vaeEncoder: flux2VaeEncoderGraph(vae),
    }),
  };
}
