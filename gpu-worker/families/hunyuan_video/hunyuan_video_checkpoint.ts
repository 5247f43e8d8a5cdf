// Reads a HunyuanVideo checkpoint: scheduler, defaults, rules, and the function that builds its graphs.
// Nothing is loaded on a device.
import {
  type AutoencoderKLHunyuanVideoConfig,
  parseAutoencoderKLHunyuanVideoConfig,
} from "./hunyuan_video_vae_config.ts";
import { autoencoderKLHunyuanVideoDecoderGraph, MAX_LATENT_FRAMES } from "./hunyuan_video_vae_decoder.ts";
import { clipTextEncoderGraph, parseClipTextConfig } from "../../graph/text_encoders/clip_text_encoder.ts";
import type { OnnxModel } from "../../graph/graph_builder.ts";
import {
  type HunyuanVideoTransformerConfig,
  parseHunyuanVideoTransformerConfig,
} from "./hunyuan_video_config.ts";
import { hunyuanVideoTransformerGraphs } from "./hunyuan_video_transformer.ts";
import { parseLlamaConfig } from "../../graph/text_encoders/llama_config.ts";
import { llamaEncoderGraph } from "../../graph/text_encoders/llama_encoder.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import type { DType } from "../../runtime/dtype.ts";
import { checkScheduler } from "../../checkpoint/check_scheduler.ts";
import type { Checkpoint, Component } from "../../checkpoint/checkpoint.ts";
import { leastCommonMultiple } from "../../pipeline/least_common_multiple.ts";
import type { FamilyReading } from "../../pipeline/family.ts";
import { refuseLeftPadding } from "../../text/refuse_left_padding.ts";
import type { CausalEncoderConfig } from "../../graph/text_encoders/causal_encoder_config.ts";
import type { RequestDefaults } from "../../request/request_defaults.ts";
import type { VideoRules } from "../../request/request_rules.ts";
import type { DecodingSize } from "../../vae/decoding_size.ts";
import type { LatentScale } from "../../vae/latent_scale.ts";
import { latentsOf } from "../../vae/video_size.ts";
import { requestDefaults } from "../../checkpoint/stored_defaults.ts";

/** diffusers' num_hidden_layers_to_skip: the text's states are the input of LLaMA's second to last layer. */
export const SKIPPED_LAYERS = 2;

export interface HunyuanVideoCheckpoint extends FamilyReading {
  config: HunyuanVideoTransformerConfig;
  tokenizers: Record<"llama" | "clip", string>;
  buildGraphs(): Record<"llama" | "clip" | "trunk" | "head" | "modulation" | "vae", OnnxModel>;
}

/** The settings of the published results. */
const PRESET = {
  width: 960,
  height: 544,
  numFrames: 61,
  fps: 24,
  steps: 50,
  trueCfgScale: 1,
  sampler: {},
};
const GUIDANCE_SCALE = 6;
const MAX_SEQUENCE_LENGTH = 256;
/** A little over ten seconds: twice the length that the network was trained on. */
const MAX_FRAMES = 257;
/**
 * Factor over picture decoders: for the second part's shape ONNX Runtime allocates another block besides the
 * first part's (docs/decisions/0027-memory-of-video-decoders.md).
 */
const WITH_SECOND_PART = 1.5;
/** HunyuanVideoPipeline's rule. A larger patch or compression ratio raises the multiple. */
const SIZE_MULTIPLE = 16;

/**
 * Reads and checks the checkpoint.
 * @throws {CheckpointError} if a component is missing, damaged or unsupported.
 */
export function readHunyuanVideoCheckpoint(checkpoint: Checkpoint, dtype: DType): HunyuanVideoCheckpoint {
  checkpoint.requireClass("text_encoder", "LlamaModel", "LlamaForCausalLM");
  const llama = checkpoint.component("text_encoder", "model");
  const { reading, defaults, graphs } = readHunyuanVideoParts(checkpoint, {
    dtype,
    textConfig: () => parseLlamaConfig(llama.config, { name: llama.name, skippedLayers: SKIPPED_LAYERS }),
  });
  const { imageCondition } = reading.config;
  if (imageCondition !== undefined) {
    throw new CheckpointError(
      `Cannot use ${checkpoint.path("transformer", "config.json")} as 'image_condition_type' must be null ` +
        `with HunyuanVideoPipeline, but is ${imageCondition}. Try HunyuanVideoImageToVideoPipeline in ` +
        "model_index.json",
    );
  }
  return {
    ...reading,
    defaults: requestDefaults(checkpoint, { ...PRESET, ...defaults }),
    buildGraphs: () => ({
      llama: llamaEncoderGraph({ ...llama, dtype, skippedLayers: SKIPPED_LAYERS }),
      ...graphs(),
    }),
  };
}

export interface HunyuanVideoPartsOptions {
  dtype: DType;
  /** Reads the config of the language model. */
  textConfig: () => CausalEncoderConfig;
}

export interface HunyuanVideoParts {
  reading: Omit<HunyuanVideoCheckpoint, "defaults" | "buildGraphs"> & {
    rules: { video: VideoRules };
  };
  vae: Component;
  /** Defaults that both pipeline classes share. */
  defaults: { guidanceScale: number; maxSequenceLength: number };
  /** Builds all graphs but the language model's. */
  graphs(): Record<"clip" | "trunk" | "head" | "modulation" | "vae", OnnxModel>;
}

/**
 * Reads the parts that the pipelines from text and from an image have in common.
 * @throws {CheckpointError} if a component is missing, damaged or unsupported.
 */
export function readHunyuanVideoParts(
  checkpoint: Checkpoint,
  { dtype, textConfig }: HunyuanVideoPartsOptions,
): HunyuanVideoParts {
  checkpoint.requireClass("transformer", "HunyuanVideoTransformer3DModel");
  checkpoint.requireClass("vae", "AutoencoderKLHunyuanVideo");
  checkpoint.requireClass("scheduler", "FlowMatchEulerDiscreteScheduler");
  checkpoint.requireClass("text_encoder_2", "CLIPTextModel");
  const transformer = checkpoint.component("transformer", "diffusion_pytorch_model");
  const vae = checkpoint.component("vae", "diffusion_pytorch_model");
  const clip = checkpoint.component("text_encoder_2", "model");

  const config = parseHunyuanVideoTransformerConfig(transformer.config);
  const vaeConfig = parseAutoencoderKLHunyuanVideoConfig(vae.config, "vae/config.json");
  const isConcat = config.imageCondition === "latent_concat";
  requireFit(checkpoint, {
    [`transformer's ${isConcat ? "out_channels" : "in_channels"}`]: config.outChannels,
    "vae's latent_channels": vaeConfig.latent_channels,
  });
  requireFit(checkpoint, {
    "transformer's text_embed_dim": config.textEmbedDim,
    "text_encoder's hidden_size": textConfig().hiddenSize,
  });
  requireFit(checkpoint, {
    "transformer's pooled_projection_dim": config.pooledProjectionDim,
    "text_encoder_2's hidden_size": parseClipTextConfig(clip.config, "text_encoder_2").hidden_size,
  });
  refuseLeftPadding(checkpoint);
  const { spatial_compression_ratio: spatial, temporal_compression_ratio: temporal } = vaeConfig;
  const latentScale = { channels: config.outChannels, spatial, temporal, ...isConcat && { lead: 1 } };
  return {
    vae,
    defaults: {
      guidanceScale: config.guidanceEmbeds ? GUIDANCE_SCALE : 0,
      maxSequenceLength: MAX_SEQUENCE_LENGTH,
    },
    reading: {
      config,
      // The pipeline has no length for a dynamic shift.
      scheduler: checkScheduler(checkpoint.scheduler(), { sigmas: [1] }),
      latentScale,
      tokenizers: { llama: checkpoint.path("tokenizer"), clip: checkpoint.path("tokenizer_2") },
      rules: {
        sizeMultiple: leastCommonMultiple(SIZE_MULTIPLE, spatial * config.patchSize),
        maxSequenceLength: MAX_SEQUENCE_LENGTH,
        guidance: config.guidanceEmbeds ? "distilled" : "none",
        video: { frameStep: temporal, maxFrames: MAX_FRAMES, framePatch: config.patchSizeT },
      },
      decoding: (request) => decodingSize(request, { latentScale, vaeConfig }),
    },
    graphs: () => ({
      clip: clipTextEncoderGraph({ ...clip, dtype, outputs: ["pooled_output"] }),
      ...hunyuanVideoTransformerGraphs({ ...transformer, dtype }),
      vae: autoencoderKLHunyuanVideoDecoderGraph(vae),
    }),
  };
}

function decodingSize(
  request: Pick<RequestDefaults, "width" | "height" | "numFrames">,
  { latentScale, vaeConfig }: { latentScale: LatentScale; vaeConfig: AutoencoderKLHunyuanVideoConfig },
): DecodingSize {
  const { frames, height, width, channels } = latentsOf(latentScale, request);
  const partFrames = (Math.min(frames, MAX_LATENT_FRAMES) - 1) * (latentScale.temporal ?? 1) + 1;
  return {
    latents: frames * height * width * channels,
    // The largest activation is the last block's input: the upsampled output of the block
    // before, for all frames of a part.
    activation: WITH_SECOND_PART * partFrames * request.width * request.height *
      vaeConfig.block_out_channels[1]!,
  };
}

function requireFit({ folder }: Checkpoint, sizes: Record<string, number>): void {
  const [[first, expected], [second, found]] = Object.entries(sizes) as [[string, number], [string, number]];
  if (expected === found) return;
  throw new CheckpointError(
    `Cannot use ${folder} as the ${first} must equal the ${second}: ` +
      `current values are ${expected} and ${found}`,
  );
}
