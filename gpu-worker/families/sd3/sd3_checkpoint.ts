// Reads a Stable Diffusion 3 checkpoint: scheduler, defaults, rules, and the function that builds its graphs.
// Nothing is loaded on a device.
import { checkScheduler } from "../../checkpoint/check_scheduler.ts";
import {
  type AutoencoderKLConfig,
  parseAutoencoderKLConfig,
} from "../../graph/autoencoder_kl/autoencoder_kl_config.ts";
import { autoencoderKLDecoderGraph } from "../../graph/autoencoder_kl/autoencoder_kl_decoder.ts";
import { autoencoderKLEncoderGraph } from "../../graph/autoencoder_kl/autoencoder_kl_encoder.ts";
import { withLatentNumbers } from "../../graph/autoencoder_kl/with_latent_numbers.ts";
import { clipTextEncoderGraph, parseClipTextConfig } from "../../graph/text_encoders/clip_text_encoder.ts";
import type { OnnxModel } from "../../graph/graph_builder.ts";
import { parseSd3TransformerConfig, type Sd3TransformerConfig } from "./sd3_config.ts";
import { sd3TransformerGraphs } from "./sd3_transformer.ts";
import { parseT5Config, t5EncoderGraph } from "../../graph/text_encoders/t5_encoder.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import type { DType } from "../../runtime/dtype.ts";
import type { Checkpoint, Component } from "../../checkpoint/checkpoint.ts";
import { MAX_PIXELS_PER_SIDE } from "../../request/request_limits.ts";
import { decodingSize } from "../../vae/decoding_size.ts";
import type { FamilyReading } from "../../pipeline/family.ts";
import { requestDefaults } from "../../checkpoint/stored_defaults.ts";

export interface Sd3Checkpoint extends FamilyReading {
  config: Sd3TransformerConfig;
  vaeConfig: AutoencoderKLConfig;
  tokenizers: Record<"clip" | "clip2", string> & { t5?: string };
  buildGraphs(): Sd3Graphs;
}

type Sd3Graphs =
  & Record<"clip" | "clip2" | "trunk" | "head" | "modulation" | "vae" | "vaeEncoder", OnnxModel>
  // T5 is optional, for machines without memory for it. Its tokens are then zeros.
  & { t5?: OnnxModel };

/**
 * The settings of Spectrum's published results for SD3.5-Large. diffusers' default is 28 steps with the same
 * guidance (--steps 28).
 */
const PRESET = { steps: 50, guidanceScale: 7, trueCfgScale: 1, maxSequenceLength: 256, sampler: {} };
/** StableDiffusion3Pipeline's limit. */
const MAX_SEQUENCE_LENGTH = 512;
/** Tokens of both CLIP encoders, whose states are joined and precede T5's. */
const CLIP_TOKENS = 77;
const CLIP = "CLIPTextModelWithProjection";

/**
 * Reads and checks the checkpoint.
 * @throws {CheckpointError} if a component is missing, damaged or unsupported.
 */
export function readSd3Checkpoint(checkpoint: Checkpoint, dtype: DType): Sd3Checkpoint {
  const parts = readParts(checkpoint);
  const config = parseSd3TransformerConfig(parts.transformer.config);
  const vae = parseAutoencoderKLConfig(parts.vae.config, "vae/config.json");
  checkWidths(parts, { config, vae });
  const scheduler = checkScheduler(checkpoint.scheduler(), { imageSeqLen: 1 });

  const vaeScale = 2 ** (vae.block_out_channels.length - 1);
  const patch = config.patchSize * vaeScale;
  const side = config.sampleSize * vaeScale;
  const clip = { className: CLIP, outputs: ["penultimate_hidden_state", "text_embeds"], dtype } as const;
  return {
    config,
    vaeConfig: vae,
    scheduler,
    latentScale: { channels: config.inChannels, spatial: vaeScale },
    tokenizers: {
      clip: checkpoint.path("tokenizer"),
      clip2: checkpoint.path("tokenizer_2"),
      ...parts.t5 && { t5: checkpoint.path("tokenizer_3") },
    },
    defaults: requestDefaults(checkpoint, { ...PRESET, width: side, height: side }),
    rules: {
      sizeMultiple: patch,
      maxSide: Math.min(config.posEmbedMaxSize * patch, MAX_PIXELS_PER_SIDE),
      maxSequenceLength: MAX_SEQUENCE_LENGTH,
      skippableLayers: config.numLayers,
      guidance: "cfg",
      // StableDiffusion3Img2ImgPipeline's default.
      startImage: { strength: 0.6, partialStep: "run" },
    },
    decoding: decodingSize(vae),
    conditioningElements: ({ maxSequenceLength, guidanceScale }) =>
      (guidanceScale > 1 ? 2 : 1) * (CLIP_TOKENS + maxSequenceLength) * config.innerDim,
    buildGraphs: () => ({
      clip: clipTextEncoderGraph({ ...parts.clip, ...clip }),
      clip2: clipTextEncoderGraph({ ...parts.clip2, ...clip }),
      ...parts.t5 && { t5: t5EncoderGraph({ ...parts.t5, dtype }) },
      ...sd3TransformerGraphs({ ...parts.transformer, dtype }),
      vae: autoencoderKLDecoderGraph({ ...parts.vae, dtype: "float32" }),
      vaeEncoder: autoencoderKLEncoderGraph({ ...parts.vae, dtype: "float32" }),
    }),
  };
}

interface Sd3Parts {
  transformer: Component;
  vae: Component;
  clip: Component;
  clip2: Component;
  t5: Component | undefined;
}

function readParts(checkpoint: Checkpoint): Sd3Parts {
  checkpoint.requireClass("transformer", "SD3Transformer2DModel");
  checkpoint.requireClass("vae", "AutoencoderKL");
  checkpoint.requireClass("scheduler", "FlowMatchEulerDiscreteScheduler");
  checkpoint.requireClass("text_encoder", CLIP);
  checkpoint.requireClass("text_encoder_2", CLIP);
  const hasT5 = checkpoint.componentClass("text_encoder_3") !== undefined;
  if (hasT5) checkpoint.requireClass("text_encoder_3", "T5EncoderModel");
  return {
    transformer: checkpoint.component("transformer", "diffusion_pytorch_model"),
    vae: withLatentNumbers(checkpoint.component("vae", "diffusion_pytorch_model"), "shift"),
    clip: checkpoint.component("text_encoder", "model"),
    clip2: checkpoint.component("text_encoder_2", "model"),
    t5: hasT5 ? checkpoint.component("text_encoder_3", "model") : undefined,
  };
}

/** Checks that widths agree where the output of one component is the input of another. */
function checkWidths(
  { clip, clip2, t5 }: Sd3Parts,
  { config, vae }: { config: Sd3TransformerConfig; vae: AutoencoderKLConfig },
): void {
  const { jointAttentionDim, pooledProjectionDim, inChannels, outChannels } = config;
  const clips = [clip, clip2].map(({ config, name }) => parseClipTextConfig(config, name));
  const sum = (key: "hidden_size" | "projection_dim") => clips.reduce((total, { [key]: n }) => total + n, 0);
  const refuse = (rule: string, value: number) => {
    throw new CheckpointError(
      `Cannot use transformer/config.json as ${rule}: current value is ${value}`,
    );
  };
  if (outChannels !== inChannels) refuse(`'out_channels' must be 'in_channels' (${inChannels})`, outChannels);
  if (inChannels !== vae.latent_channels) {
    refuse(`'in_channels' must be the autoencoder's 'latent_channels' (${vae.latent_channels})`, inChannels);
  }
  const pooled = sum("projection_dim");
  if (pooledProjectionDim !== pooled) {
    refuse(`'pooled_projection_dim' must be the CLIP encoders' together (${pooled})`, pooledProjectionDim);
  }
  const states = sum("hidden_size");
  if (jointAttentionDim < states) {
    refuse(
      `'joint_attention_dim' must have room for the CLIP encoders' states (${states})`,
      jointAttentionDim,
    );
  }
  const t5States = t5 && parseT5Config(t5.config, t5).d_model;
  if (t5States !== undefined && jointAttentionDim !== t5States) {
    refuse(`'joint_attention_dim' must be the T5 encoder's 'd_model' (${t5States})`, jointAttentionDim);
  }
}
