// Reads a Wan checkpoint: scheduler, defaults, rules, and the function that builds its
// graphs. Nothing is loaded on a device.
import type { Checkpoint } from "../../checkpoint/checkpoint.ts";
import { checkScheduler } from "../../checkpoint/check_scheduler.ts";
import { requestDefaults } from "../../checkpoint/stored_defaults.ts";
import type { OnnxModel } from "../../graph/graph_builder.ts";
import { t5EncoderGraph } from "../../graph/text_encoders/t5_encoder.ts";
import type { TransformerGraphs } from "../../graph/transformer_graphs.ts";
import { clipVisionEncoderGraph } from "../../graph/vision_encoders/clip_vision_encoder.ts";
import type { WanVaeConfig } from "../../graph/wan_vae/wan_vae_config.ts";
import {
  type WanVaeDecoder,
  wanVaeDecoder,
  type WanVaeDecoderOptions,
} from "../../graph/wan_vae/wan_vae_decoder.ts";
import { type WanVaeEncoderPart, wanVaeEncoderParts } from "../../graph/wan_vae/wan_vae_encoder.ts";
import type { ClipPixelsOptions } from "../../media/clip_pixels.ts";
import type { FamilyReading } from "../../pipeline/family.ts";
import { leastCommonMultiple } from "../../pipeline/least_common_multiple.ts";
import { MAX_PIXELS_PER_SIDE } from "../../request/request_limits.ts";
import type { RequestRules } from "../../request/request_rules.ts";
import type { FrameRules } from "../../request/video_frames.ts";
import type { DType } from "../../runtime/dtype.ts";
import type { DecodingOf } from "../../vae/decoding_size.ts";
import type { LatentScale } from "../../vae/latent_scale.ts";
import { latentsOf } from "../../vae/video_size.ts";
import type { WanTransformerConfig } from "./wan_config.ts";
import { readWanParts, WAN_TEXT_CLASS, type WanParts } from "./wan_parts.ts";
import { wanTransformerGraphs } from "./wan_transformer.ts";

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
/** diffusers' num_train_timesteps. */
const TRAIN_TIMESTEPS = 1000;

/**
 * Reads and checks the checkpoint.
 * @throws {CheckpointError} if a component is missing, damaged or unsupported.
 */
export function readWanCheckpoint(checkpoint: Checkpoint, dtype: DType): WanCheckpoint {
  const parts = readWanParts(checkpoint);
  const { config, vaeConfig, vision, boundaryRatio } = parts;
  const { inChannels, outChannels, imageDim = 0 } = config;
  const { spatialScale, temporalScale } = vaeConfig;
  const latentScale = { channels: outChannels, spatial: spatialScale, temporal: temporalScale };
  // The pipeline has no length for a dynamic shift.
  const scheduler = checkScheduler(checkpoint.scheduler());
  return {
    config,
    vaeConfig,
    boundaryTimestep: boundaryRatio === undefined
      ? undefined
      : boundaryRatio * Number(scheduler["num_train_timesteps"] ?? TRAIN_TIMESTEPS),
    scheduler,
    vision: vision?.pixels,
    latentScale,
    tokenizers: { t5: checkpoint.path("tokenizer") },
    defaults: requestDefaults(checkpoint, PRESET),
    rules: rulesOf(parts),
    conditionElements(request) {
      const { frames, height, width } = latentsOf(latentScale, request);
      const states = vision === undefined ? 0 : vision.tokens * imageDim;
      const branches = request.guidanceScale > 1 ? 2 : 1;
      return branches * ((inChannels - outChannels) * frames * height * width + states);
    },
    decoding: decodingOf(vaeConfig, latentScale),
    buildGraphs: () => graphsOf(parts, dtype),
  };
}

function rulesOf({ config, vaeConfig, second, frames }: WanParts): RequestRules {
  const { spatialScale, temporalScale } = vaeConfig;
  const { patchHeight, patchWidth, ropeMaxSeqLen } = config;
  const patches = [patchHeight, patchWidth].map((patch) => patch * spatialScale) as [number, number];
  return {
    sizeMultiple: patches.reduce(leastCommonMultiple, SIZE_MULTIPLE),
    maxSide: Math.min(MAX_PIXELS_PER_SIDE, ropeMaxSeqLen * Math.min(...patches)),
    maxSequenceLength: PRESET.maxSequenceLength,
    guidance: "cfg",
    ...second && { guidanceScale2: true },
    video: {
      frameStep: temporalScale,
      maxFrames: Math.min(MAX_FRAMES, (ropeMaxSeqLen - 1) * temporalScale + 1),
      ...frames !== "none" && { frames: frameRules(config, frames) },
    },
  };
}

/** Returns which frames the network takes, as WanImageToVideoPipeline runs with them. */
function frameRules(
  { imageDim, imagePositions }: WanTransformerConfig,
  frames: "beside" | "among",
): FrameRules {
  if (frames === "among") return { first: "optional", last: "none" };
  if (imageDim === undefined) return { first: "required", last: "optional" };
  // The positions are those of two images' tokens.
  return { first: "required", last: imagePositions === undefined ? "none" : "required" };
}

function decodingOf(
  { temporalScale, patchSize, channels }: WanVaeConfig,
  latentScale: LatentScale,
): DecodingOf {
  return (request) => {
    const { frames, height, width, channels: latentChannels } = latentsOf(latentScale, request);
    // One latent frame is decoded at a time. At full size it has the channels of the resolution before.
    const decodedFrames = Math.min(request.numFrames ?? 1, temporalScale);
    const pixels = request.width * request.height / patchSize ** 2;
    return {
      latents: frames * height * width * latentChannels,
      activation: WITH_PASTS * decodedFrames * pixels * (channels.at(-2) ?? channels[0]!),
    };
  };
}

function graphsOf(
  { config, vaeConfig, transformer, second, vae, t5, vision, frames }: WanParts,
  dtype: DType,
): WanGraphs {
  const { frameTimesteps } = config;
  const autoencoder = { config: vaeConfig, weights: vae.weights };
  return {
    t5: t5EncoderGraph({ ...t5, dtype, className: WAN_TEXT_CLASS }),
    ...wanTransformerGraphs({ ...transformer, dtype, frameTimesteps }),
    ...second && secondGraphs(wanTransformerGraphs({ ...second, dtype, frameTimesteps })),
    vae: decoder(autoencoder),
    ...vision && { vision: clipVisionEncoderGraph({ ...vision.component, dtype }) },
    ...frames !== "none" && frameGraphs(autoencoder),
  };
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
