// Reads a HunyuanVideo checkpoint: scheduler, defaults, rules, and the function that builds its graphs.
// Nothing is loaded on a device.
import { parseAutoencoderKLHunyuanVideoConfig } from "./hunyuan_video_vae_config.ts";
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
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import { leastCommonMultiple } from "../../pipeline/least_common_multiple.ts";
import type { FamilyReading } from "../../pipeline/family.ts";
import { refuseLeftPadding } from "../../text/refuse_left_padding.ts";
import { requestDefaults } from "../../checkpoint/stored_defaults.ts";

/** diffusers' num_hidden_layers_to_skip: the text's states are the input of LLaMA's second to last layer. */
const SKIPPED_LAYERS = 2;

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
  maxSequenceLength: 256,
  sampler: {},
};
const GUIDANCE_SCALE = 6;
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
  checkpoint.requireClass("transformer", "HunyuanVideoTransformer3DModel");
  checkpoint.requireClass("vae", "AutoencoderKLHunyuanVideo");
  checkpoint.requireClass("scheduler", "FlowMatchEulerDiscreteScheduler");
  checkpoint.requireClass("text_encoder", "LlamaModel", "LlamaForCausalLM");
  checkpoint.requireClass("text_encoder_2", "CLIPTextModel");
  const transformer = checkpoint.component("transformer", "diffusion_pytorch_model");
  const vae = checkpoint.component("vae", "diffusion_pytorch_model");
  const llama = checkpoint.component("text_encoder", "model");
  const clip = checkpoint.component("text_encoder_2", "model");

  const config = parseHunyuanVideoTransformerConfig(transformer.config);
  const vaeConfig = parseAutoencoderKLHunyuanVideoConfig(vae.config, "vae/config.json");
  requireFit(checkpoint, {
    "transformer's in_channels": config.inChannels,
    "vae's latent_channels": vaeConfig.latent_channels,
  });
  requireFit(checkpoint, {
    "transformer's text_embed_dim": config.textEmbedDim,
    "text_encoder's hidden_size":
      parseLlamaConfig(llama.config, { name: "text_encoder", skippedLayers: SKIPPED_LAYERS }).hiddenSize,
  });
  requireFit(checkpoint, {
    "transformer's pooled_projection_dim": config.pooledProjectionDim,
    "text_encoder_2's hidden_size": parseClipTextConfig(clip.config, "text_encoder_2").hidden_size,
  });
  refuseLeftPadding(checkpoint);
  // The pipeline has no length for a dynamic shift.
  const scheduler = checkScheduler(checkpoint.scheduler(), { sigmas: [1] });
  const { spatial_compression_ratio: scale, temporal_compression_ratio: timeScale } = vaeConfig;
  const preset = { ...PRESET, guidanceScale: config.guidanceEmbeds ? GUIDANCE_SCALE : 0 };
  return {
    config,
    scheduler,
    latentScale: { channels: config.inChannels, spatial: scale, temporal: timeScale },
    tokenizers: { llama: checkpoint.path("tokenizer"), clip: checkpoint.path("tokenizer_2") },
    defaults: requestDefaults(checkpoint, preset),
    rules: {
      sizeMultiple: leastCommonMultiple(SIZE_MULTIPLE, scale * config.patchSize),
      maxSequenceLength: PRESET.maxSequenceLength,
      guidance: config.guidanceEmbeds ? "distilled" : "none",
      video: { frameStep: timeScale, maxFrames: MAX_FRAMES, framePatch: config.patchSizeT },
    },
    decoding: ({ width, height, numFrames = 1 }) => ({
      latents: ((numFrames - 1) / timeScale + 1) * (width / scale) * (height / scale) * config.inChannels,
      // The largest activation is the last block's input: the upsampled output of the block
      // before, for all frames of a part.
      activation: WITH_SECOND_PART * Math.min(numFrames, (MAX_LATENT_FRAMES - 1) * timeScale + 1) * width *
        height *
        vaeConfig.block_out_channels[1]!,
    }),
    buildGraphs: () => ({
      llama: llamaEncoderGraph({ ...llama, dtype, skippedLayers: SKIPPED_LAYERS }),
      clip: clipTextEncoderGraph({ ...clip, dtype, outputs: ["pooled_output"] }),
      ...hunyuanVideoTransformerGraphs({ ...transformer, dtype }),
      vae: autoencoderKLHunyuanVideoDecoderGraph(vae),
    }),
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
