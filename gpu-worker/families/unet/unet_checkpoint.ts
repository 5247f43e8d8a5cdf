// Reads checkpoints of Stable Diffusion and SDXL: scheduler, defaults, rules, and the function that builds
// their graphs. Nothing is loaded on a device.
import { checkScheduler } from "../../checkpoint/check_scheduler.ts";
import type { SchedulerConfig } from "../../../sampler/mod.ts";
import {
  type AutoencoderKLConfig,
  parseAutoencoderKLConfig,
} from "../../graph/autoencoder_kl/autoencoder_kl_config.ts";
import { autoencoderKLDecoderGraph } from "../../graph/autoencoder_kl/autoencoder_kl_decoder.ts";
import { autoencoderKLEncoderGraph } from "../../graph/autoencoder_kl/autoencoder_kl_encoder.ts";
import { type LatentNumbers, withLatentNumbers } from "../../graph/autoencoder_kl/with_latent_numbers.ts";
import {
  type ClipTextClass,
  clipTextEncoderGraph,
  parseClipTextConfig,
} from "../../graph/text_encoders/clip_text_encoder.ts";
import type { BuildGraphsOptions } from "../../graph/build_graphs_options.ts";
import type { OnnxModel } from "../../graph/graph_builder.ts";
import { readUNetControlNet } from "./control_net.ts";
import { unet2DConditionGraphs } from "./unet.ts";
import { parseUNet2DConditionConfig, type UNet2DConditionConfig } from "./unet_config.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import type { DType } from "../../runtime/dtype.ts";
import type { Checkpoint, Component } from "../../checkpoint/checkpoint.ts";
import { decodingSize } from "../../vae/decoding_size.ts";
import { controlGraphs, controlNetRules } from "../../pipeline/control_net.ts";
import type { FamilyReading } from "../../pipeline/family.ts";
import { requestDefaults } from "../../checkpoint/stored_defaults.ts";

/** A checkpoint whose denoiser is a UNet. */
export interface UNetCheckpoint extends FamilyReading {
  config: UNet2DConditionConfig;
  vaeConfig: AutoencoderKLConfig;
  /** Text encoders, in the order in which their states are joined. */
  textEncoders: readonly TextEncoder[];
  /** Whether a missing negative prompt is zeros instead of an encoded empty text. */
  zeroNegative: boolean;
  /** Builds the graphs. A text encoder's graph has the encoder's name. */
  buildGraphs(options?: BuildGraphsOptions):
    & Record<"trunk" | "head" | "vae" | "vaeEncoder", OnnxModel>
    & Partial<Record<TextEncoder["name"], OnnxModel>>;
}

/** A CLIP encoder of the checkpoint. */
export interface TextEncoder extends TextEncoderOptions {
  source: Component;
  /** Features of a token's state. */
  features: number;
}

/** The encoder that the pipeline class needs, and the outputs it uses. */
export interface TextEncoderOptions {
  /** Component of the encoder. The tokenizer's component has the same suffix. */
  name: "text_encoder" | "text_encoder_2";
  className: ClipTextClass;
  /** The output that becomes part of the prompt's states. The last encoder may also have text_embeds. */
  states: "last_hidden_state" | "penultimate_hidden_state";
}

/** The differences between the pipeline classes. */
export interface UNetCheckpointOptions {
  /** Compute type. */
  dtype: DType;
  textEncoders: readonly TextEncoderOptions[];
  /** The pipeline's default guidance scale. */
  guidanceScale: number;
  /** The default strength of the class's image-to-image pipeline. */
  strength: number;
  /** The default strength of the class's inpainting pipeline. */
  maskStrength: number;
  /** @default false */
  zeroNegative?: boolean;
  /** Replaces a smaller `sample_size` of a UNet that diffusers saved before 0.9. @default none */
  leastOldSampleSize?: number;
  scheduler: SchedulerConfig;
  /** What the class reads of the autoencoder's config. */
  latentNumbers: LatentNumbers;
}

/** The only value of maxSequenceLength, as CLIP's length is fixed. */
const NO_T5 = 1;
const STEPS = 50;
/** diffusers' default_sample_size if the config has none, in latent pixels. */
const DEFAULT_SAMPLE_SIZE = 128;

/** Corrects `sample_size`. Old converted checkpoints say 32, whatever they were trained on. */
function sampleSize(
  { _diffusers_version: version, sample_size: size }: Record<string, unknown>,
  { leastOldSampleSize: least }: UNetCheckpointOptions,
): [number, number] | undefined {
  const isOld = typeof version === "string" && /^0\.[0-8](?:\.|$)/.test(version);
  return least !== undefined && isOld && typeof size === "number" && size < least
    ? [least, least]
    : undefined;
}

/**
 * Reads and checks the checkpoint.
 * @throws {CheckpointError} if a component is missing, damaged or unsupported.
 */
export function readUNetCheckpoint(checkpoint: Checkpoint, options: UNetCheckpointOptions): UNetCheckpoint {
  checkpoint.requireClass("unet", "UNet2DConditionModel");
  checkpoint.requireClass("vae", "AutoencoderKL");
  const { scheduler, dtype, zeroNegative = false } = options;
  checkScheduler(scheduler, { steps: STEPS });

  const unet = checkpoint.component("unet", "diffusion_pytorch_model");
  const vae = withLatentNumbers(
    checkpoint.component("vae", "diffusion_pytorch_model"),
    options.latentNumbers,
  );
  const config = parseUNet2DConditionConfig(unet.config);
  const vaeConfig = parseAutoencoderKLConfig(vae.config, "vae/config.json");
  requireLatents(config, vaeConfig.latent_channels);
  const vaeScale = 2 ** (vaeConfig.block_out_channels.length - 1);
  // ONNX Runtime has no bfloat16 convolutions on CUDA, and these UNets were published for float16.
  const denoiserType = dtype === "bfloat16" ? "float16" : dtype;
  const textEncoders = options.textEncoders.map((encoder) => textEncoder(checkpoint, encoder));
  requireTextWidth(config, textEncoders);
  const controlNets = checkpoint.controlNets.map((files) =>
    readUNetControlNet(files, { model: checkpoint.folder, config, vaeScale, dtype: denoiserType })
  );
  const [height, width] = sampleSize(unet.config, options) ?? config.sampleSize ??
    [DEFAULT_SAMPLE_SIZE, DEFAULT_SAMPLE_SIZE];
  return {
    config,
    vaeConfig,
    scheduler,
    latentScale: { channels: config.outChannels, spatial: vaeScale },
    ...config.inChannels > config.outChannels && { maskInputs: true },
    tokenizers: Object.fromEntries(
      textEncoders.map(({ name }) => [name, checkpoint.path(name.replace("text_encoder", "tokenizer"))]),
    ),
    textEncoders,
    zeroNegative,
    denoiserType,
    controlNets,
    defaults: requestDefaults(checkpoint, {
      steps: STEPS,
      width: width * vaeScale,
      height: height * vaeScale,
      guidanceScale: options.guidanceScale,
      trueCfgScale: 1,
      maxSequenceLength: NO_T5,
      sampler: {},
    }),
    rules: {
      clipPrompts: true,
      sizeMultiple: vaeScale,
      maxSequenceLength: NO_T5,
      guidance: "cfg",
      guidanceRescale: true,
      startImage: { strength: options.strength, maskStrength: options.maskStrength, partialStep: "skip" },
      ...controlNetRules(controlNets),
    },
    decoding: decodingSize(vaeConfig),
    buildGraphs: ({ provider } = {}) => ({
      ...Object.fromEntries(textEncoders.map((encoder) => [encoder.name, textGraph(encoder, dtype)])),
      ...unet2DConditionGraphs({
        ...unet,
        dtype: denoiserType,
        controlled: controlNets.length > 0,
        provider,
      }),
      ...controlGraphs(controlNets, { provider }),
      vae: autoencoderKLDecoderGraph({ ...vae, dtype: "float32" }),
      vaeEncoder: autoencoderKLEncoderGraph({ ...vae, dtype: "float32" }),
    }),
  };
}

function textEncoder(checkpoint: Checkpoint, options: TextEncoderOptions): TextEncoder {
  const { name, className } = options;
  checkpoint.requireClass(name, className);
  const source = checkpoint.component(name, "model");
  const { hidden_size: features } = parseClipTextConfig(source.config, name);
  return { ...options, source, features };
}

function textGraph({ source, className, states }: TextEncoder, dtype: DType): OnnxModel {
  return clipTextEncoderGraph({
    ...source,
    dtype,
    className,
    outputs: className === "CLIPTextModelWithProjection" ? [states, "text_embeds"] : [states],
  });
}

/**
 * Rejects editing UNets, whose inputs are neither latents alone nor, as of inpainting UNets,
 * latents, mask and masked image.
 */
function requireLatents({ inChannels, outChannels }: UNet2DConditionConfig, latentChannels: number): void {
  const inpainting = 2 * latentChannels + 1;
  if (outChannels === latentChannels && (inChannels === latentChannels || inChannels === inpainting)) return;
  throw new CheckpointError(
    "Cannot use unet/config.json for text to image as 'in_channels' and 'out_channels' must be the " +
      `autoencoder's ${latentChannels}, or 'in_channels' ${inpainting} for inpainting: current values are ` +
      `${inChannels} and ${outChannels}`,
  );
}

function requireTextWidth(
  { crossAttentionDim }: UNet2DConditionConfig,
  encoders: readonly TextEncoder[],
): void {
  const features = encoders.reduce((sum, encoder) => sum + encoder.features, 0);
  if (features !== crossAttentionDim) {
    throw new CheckpointError(
      `Cannot use unet/config.json as 'cross_attention_dim' must be the text encoders' ${features}: ` +
        `current value is ${crossAttentionDim}`,
    );
  }
}
