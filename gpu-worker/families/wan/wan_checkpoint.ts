// Reads a Wan checkpoint: scheduler, defaults, rules, and the function that builds its
// graphs. Nothing is loaded on a device.
import { checkScheduler } from "../../checkpoint/check_scheduler.ts";
import { assertFit } from "../../checkpoint/assert_fit.ts";
import { z } from "zod";
import { parseAutoencoderKLWanConfig, type WanVaeConfig } from "../../graph/wan_vae/wan_vae_config.ts";
import {
  type WanVaeDecoder,
  wanVaeDecoder,
  type WanVaeDecoderOptions,
} from "../../graph/wan_vae/wan_vae_decoder.ts";
import { type WanVaeEncoderPart, wanVaeEncoderParts } from "../../graph/wan_vae/wan_vae_encoder.ts";
import {
  clipVisionEncoderGraph,
  clipVisionTokens,
  parseClipVisionConfig,
} from "../../graph/vision_encoders/clip_vision_encoder.ts";
import { readClipImageProcessor } from "../../checkpoint/clip_image_processor.ts";
import type { ClipPixelsOptions } from "../../media/clip_pixels.ts";
import type { FrameRules } from "../../request/video_frames.ts";
import type { OnnxModel } from "../../graph/graph_builder.ts";
import { parseT5Config, t5EncoderGraph } from "../../graph/text_encoders/t5_encoder.ts";
import { parseWanTransformerConfig, type WanTransformerConfig } from "./wan_config.ts";
import type { TransformerGraphs } from "../../graph/transformer_graphs.ts";
import { wanTransformerGraphs } from "./wan_transformer.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import type { DType } from "../../runtime/dtype.ts";
import type { Checkpoint, Component } from "../../checkpoint/checkpoint.ts";
import { parseConfig } from "../../checkpoint/parse_config.ts";
import { MAX_PIXELS_PER_SIDE } from "../../request/request_limits.ts";
import { leastCommonMultiple } from "../../pipeline/least_common_multiple.ts";
import type { FamilyReading } from "../../pipeline/family.ts";
import { requestDefaults } from "../../checkpoint/stored_defaults.ts";

export interface WanCheckpoint extends FamilyReading {
  config: WanTransformerConfig;
  vaeConfig: WanVaeConfig;
  tokenizers: Record<"t5", string>;
  /** Timestep below which the second expert takes over. Undefined if there is none. */
  boundaryTimestep: number | undefined;
  /** How the vision encoder takes given frames. Undefined if there is none. */
  vision: ClipPixelsOptions | undefined;
  /** Builds the graphs. The VAE's graphs come with their memories. */
  buildGraphs(): WanGraphs;
}

export type WanGraphs =
  & Record<"t5" | "trunk" | "head" | "modulation" | "vae", OnnxModel>
  & Partial<Record<"trunk2" | "head2" | "modulation2" | "vision", OnnxModel>>
  & { vae: Pick<WanVaeDecoder, "caches"> }
  & { [part: `frames${number}`]: WanVaeEncoderPart };

/** The published settings of Wan2.1's 1.3B and 14B models, which are diffusers' defaults too. */
const PRESET = {
  width: 832,
  height: 480,
  numFrames: 81,
  fps: 16,
  steps: 50,
  guidanceScale: 5,
  trueCfgScale: 1,
  maxSequenceLength: 512,
  sampler: {},
};
/** WanPipeline's rule, in addition to the patch's and the autoencoder's. */
const SIZE_MULTIPLE = 16;
/** Sixteen seconds: three times the length that the networks were trained on. */
const MAX_FRAMES = 257;
/**
 * Factor over picture decoders, for the past frames that convolutions keep and pass on
 * (docs/decisions/0027-memory-of-video-decoders.md).
 */
const WITH_PASTS = 4;
const TEXT_CLASS = "UMT5EncoderModel";
/** diffusers' num_train_timesteps. */
const TRAIN_TIMESTEPS = 1000;
/** Options of WanPipeline itself, in model_index.json. */
const WAN22 = z.strictObject({
  boundary_ratio: z.number().min(0).max(1).nullable().default(null),
  expand_timesteps: z.boolean().nullish().transform((value) => value === true),
});

/**
 * Reads and checks the checkpoint.
 * @throws {CheckpointError} if a component is missing, damaged or unsupported.
 */
export function readWanCheckpoint(checkpoint: Checkpoint, dtype: DType): WanCheckpoint {
  const { boundaryRatio, expandTimesteps } = readWan22(checkpoint);
  const startsFromFrames = checkpoint.pipelineClass === "WanImageToVideoPipeline" && !expandTimesteps;
  checkpoint.requireClass("transformer", "WanTransformer3DModel");
  checkpoint.requireClass("vae", "AutoencoderKLWan");
  checkpoint.requireClass("scheduler", "UniPCMultistepScheduler", "FlowMatchEulerDiscreteScheduler");
  checkpoint.requireClass("text_encoder", TEXT_CLASS);
  const transformer = checkpoint.component("transformer", "diffusion_pytorch_model");
  const vae = checkpoint.component("vae", "diffusion_pytorch_model");
  const t5 = checkpoint.component("text_encoder", "model");

  const config = { ...parseWanTransformerConfig(transformer.config), frameTimesteps: expandTimesteps };
  const vaeConfig = parseAutoencoderKLWanConfig(vae.config, "vae/config.json");
  const { d_model } = parseT5Config(t5.config, { name: t5.name, className: TEXT_CLASS });
  const { inChannels, outChannels, textDim } = config;
  assertFit("text_dim", { value: textDim, expected: d_model, of: "the text encoder's 'd_model'" });
  assertFit("out_channels", {
    value: outChannels,
    expected: vaeConfig.latentChannels,
    of: "the autoencoder's 'z_dim'",
  });
  assertFit("in_channels", {
    value: inChannels,
    expected: startsFromFrames ? 2 * outChannels + vaeConfig.temporalScale : outChannels,
    of: startsFromFrames
      ? "the latents, a mask and the given frames' latents"
      : "'out_channels', as networks for image to video have more",
  });
  const vision = readVision(checkpoint, config);
  const takesFrames = startsFromFrames || expandTimesteps;
  if (takesFrames && !vaeConfig.hasEncoder) {
    throw new CheckpointError(
      "Cannot use vae/config.json as 'attn_scales' must be empty to encode given frames",
    );
  }
  if (expandTimesteps) {
    // The pipeline writes a timestep for each patch of 2x2. Those of a frame are equal.
    const { patchHeight, patchWidth } = config;
    assertFit("patch_size", { value: patchHeight, expected: 2, of: "2 under 'expand_timesteps'" });
    assertFit("patch_size", { value: patchWidth, expected: 2, of: "2 under 'expand_timesteps'" });
  }
  // Without a boundary diffusers never calls the second transformer.
  const second = boundaryRatio === undefined ? undefined : readSecond(checkpoint, config);
  // The pipeline has no length for a dynamic shift.
  const scheduler = checkScheduler(checkpoint.scheduler());

  const { temporalScale, spatialScale } = vaeConfig;
  const { patchHeight, patchWidth, ropeMaxSeqLen } = config;
  const patches = [patchHeight, patchWidth].map((patch) => patch * spatialScale) as [number, number];
  return {
    config,
    vaeConfig,
    boundaryTimestep: boundaryRatio === undefined
      ? undefined
      : boundaryRatio * Number(scheduler["num_train_timesteps"] ?? TRAIN_TIMESTEPS),
    scheduler,
    vision: vision?.pixels,
    latentScale: { channels: outChannels, spatial: spatialScale, temporal: temporalScale },
    tokenizers: { t5: checkpoint.path("tokenizer") },
    defaults: requestDefaults(checkpoint, PRESET),
    rules: {
      sizeMultiple: patches.reduce(leastCommonMultiple, SIZE_MULTIPLE),
      maxSide: Math.min(MAX_PIXELS_PER_SIDE, ropeMaxSeqLen * Math.min(...patches)),
      maxSequenceLength: PRESET.maxSequenceLength,
      guidance: "cfg",
      ...second && { guidanceScale2: true },
      video: {
        frameStep: temporalScale,
        maxFrames: Math.min(MAX_FRAMES, (ropeMaxSeqLen - 1) * temporalScale + 1),
        ...takesFrames && { frames: frameRules(config, { startsFromFrames }) },
      },
    },
    conditionElements: ({ width, height, numFrames = 1, guidanceScale }) => {
      const latents = ((numFrames - 1) / temporalScale + 1) * (width / spatialScale) *
        (height / spatialScale);
      const states = vision === undefined ? 0 : vision.tokens * (config.imageDim ?? 0);
      return (guidanceScale > 1 ? 2 : 1) * ((inChannels - outChannels) * latents + states);
    },
    decoding: ({ width, height, numFrames = 1 }) => ({
      latents: ((numFrames - 1) / temporalScale + 1) * (width / spatialScale) * (height / spatialScale) *
        outChannels,
      // One latent frame is decoded at a time. At full size it has the channels of the resolution before.
      activation: WITH_PASTS * Math.min(numFrames, temporalScale) * width * height /
        vaeConfig.patchSize ** 2 *
        (vaeConfig.channels.at(-2) ?? vaeConfig.channels[0]!),
    }),
    buildGraphs: () => ({
      t5: t5EncoderGraph({ ...t5, dtype, className: TEXT_CLASS }),
      ...wanTransformerGraphs({ ...transformer, dtype, frameTimesteps: expandTimesteps }),
      ...second && secondGraphs(wanTransformerGraphs({ ...second, dtype, frameTimesteps: expandTimesteps })),
      vae: decoder({ config: vaeConfig, weights: vae.weights }),
      ...vision && { vision: clipVisionEncoderGraph({ ...vision.component, dtype }) },
      ...takesFrames && frameGraphs({ config: vaeConfig, weights: vae.weights }),
    }),
  };
}

/** Which frames the network takes, as WanImageToVideoPipeline runs with them. */
function frameRules(
  { imageDim, imagePositions }: WanTransformerConfig,
  { startsFromFrames }: { startsFromFrames: boolean },
): FrameRules {
  if (!startsFromFrames) return { first: "optional", last: "none" };
  if (imageDim === undefined) return { first: "required", last: "optional" };
  // The positions are those of two images' tokens.
  return { first: "required", last: imagePositions === undefined ? "none" : "required" };
}

/** Reads the vision encoder, whose states the network reads beside the text. */
function readVision(
  checkpoint: Checkpoint,
  { imageDim, imagePositions }: WanTransformerConfig,
): { component: Component; pixels: ClipPixelsOptions; tokens: number } | undefined {
  if (imageDim === undefined) return undefined;
  checkpoint.requireClass("image_encoder", "CLIPVisionModel");
  const component = checkpoint.component("image_encoder", "model");
  const config = parseClipVisionConfig(component.config, "image_encoder/config.json");
  const { hidden_size, image_size: side } = config;
  assertFit("image_dim", {
    value: imageDim,
    expected: hidden_size,
    of: "the vision encoder's 'hidden_size'",
  });
  if (imagePositions !== undefined) {
    assertFit("pos_embed_seq_len", {
      value: imagePositions,
      expected: 2 * clipVisionTokens(config),
      of: "twice the vision encoder's tokens",
    });
  }
  const pixels = readClipImageProcessor(checkpoint, { side });
  return { component, pixels, tokens: imagePositions ?? clipVisionTokens(config) };
}

function frameGraphs(vae: WanVaeDecoderOptions): Record<`frames${number}`, WanVaeEncoderPart> {
  return Object.fromEntries(wanVaeEncoderParts(vae).map((part, i) => [`frames${i}`, part]));
}

function decoder(vae: WanVaeDecoderOptions): OnnxModel & Pick<WanVaeDecoder, "caches"> {
  const { graph, caches } = wanVaeDecoder(vae);
  return { ...graph, caches };
}

function secondGraphs({ trunk, head, modulation }: TransformerGraphs) {
  return { trunk2: trunk, head2: head, modulation2: modulation };
}

/** Reads what Wan2.2 adds to WanPipeline. */
function readWan22(checkpoint: Checkpoint): { boundaryRatio: number | undefined; expandTimesteps: boolean } {
  const { boundary_ratio, expand_timesteps } = parseConfig(
    WAN22,
    pick(checkpoint.json("model_index.json"), Object.keys(WAN22.shape)),
    { className: "WanPipeline", path: checkpoint.path("model_index.json") },
  );
  return { boundaryRatio: boundary_ratio ?? undefined, expandTimesteps: expand_timesteps };
}

function pick(json: Record<string, unknown>, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(json).filter(([key]) => keys.includes(key)));
}

/** Returns the second expert, whose config must be the first one's. */
function readSecond(
  checkpoint: Checkpoint,
  { frameTimesteps: _, ...first }: WanTransformerConfig,
): Component {
  const name = "transformer_2";
  checkpoint.requireClass(name, "WanTransformer3DModel");
  const second = checkpoint.component(name, "diffusion_pytorch_model");
  const config = parseWanTransformerConfig(second.config, `${name}/config.json`);
  for (const key of Object.keys(first) as (keyof typeof first)[]) {
    if (config[key] === first[key]) continue;
    throw new CheckpointError(
      `Cannot use ${name}/config.json as its ${key} must be the first transformer's (${first[key]}), but is ${
        config[key]
      }`,
    );
  }
  return second;
}
