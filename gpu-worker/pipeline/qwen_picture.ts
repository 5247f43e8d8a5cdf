// Qwen-Image and Qwen-Image-2.1 have a Qwen text encoder, an autoencoder of Wan's kind,
// and prompts of any length.
import type { Checkpoint, Component } from "../checkpoint/checkpoint.ts";
import type { WanVaeConfig } from "../graph/wan_vae/wan_vae_config.ts";
import { tiledSession } from "../vae/tiled_decoder.ts";
import { tileFrames, VIDEO_TILING } from "../vae/video_tiling.ts";
import type { Family, FamilyReading } from "./family.ts";
import { sessionDecoder } from "./latent_decoder.ts";

/** Qwen-Image's published scheduler. */
export const QWEN_PICTURE_SCHEDULER = {
  _class_name: "FlowMatchEulerDiscreteScheduler",
  num_train_timesteps: 1000,
  base_shift: 0.5,
  max_shift: 0.9,
  base_image_seq_len: 256,
  max_image_seq_len: 8192,
  shift: 1,
  shift_terminal: 0.02,
  use_dynamic_shifting: true,
  time_shift_type: "exponential",
} as const;

/** diffusers' and transformers' classes of the components. */
export interface QwenPictureClasses {
  transformer: string;
  vae: string;
  textEncoder: string;
}

/** Opens the components. @throws {CheckpointError} if one is missing or of another class. */
export function openQwenPicture(
  checkpoint: Checkpoint,
  classes: QwenPictureClasses,
): Record<"transformer" | "vae" | "qwen", Component> {
  checkpoint.requireClass("transformer", classes.transformer);
  checkpoint.requireClass("vae", classes.vae);
  checkpoint.requireClass("scheduler", "FlowMatchEulerDiscreteScheduler");
  checkpoint.requireClass("text_encoder", classes.textEncoder);
  return {
    transformer: checkpoint.component("transformer", "diffusion_pytorch_model"),
    vae: checkpoint.component("vae", "diffusion_pytorch_model"),
    qwen: checkpoint.component("text_encoder", "model"),
  };
}

export interface QwenPictureOptions {
  vaeConfig: WanVaeConfig;
  /** Width of the transformer's streams. */
  innerDim: number;
  /** Latents a side that the transformer takes together. */
  patch: number;
  maxSequenceLength: number;
}

/** Returns the parts of the reading that follow from the autoencoder and the text encoder. */
export function qwenPictureReading(
  { vaeConfig, innerDim, patch, maxSequenceLength: limit }: QwenPictureOptions,
): Pick<FamilyReading, "latentScale" | "rules" | "decoding" | "conditioningElements"> {
  const { spatialScale, latentChannels, channels } = vaeConfig;
  return {
    latentScale: { channels: latentChannels, spatial: spatialScale },
    rules: {
      sizeMultiple: patch * spatialScale,
      maxSequenceLength: limit,
      guidance: "none",
      drawnAlone: true,
    },
    decoding: ({ width, height }) => ({
      latents: (width / spatialScale) * (height / spatialScale) * latentChannels,
      // At full size the decoder has the channels of the resolution before.
      activation: width * height * (channels.at(-2) ?? channels[0]!),
    }),
    conditioningElements: ({ maxSequenceLength, trueCfgScale }) =>
      (trueCfgScale > 1 ? 2 : 1) * maxSequenceLength * innerDim,
  };
}

/** Decodes pictures by an autoencoder of videos, in its tiles. */
export const qwenPictureDecoder: Family["decoder"] = (
  { runtime, session, reading: { latentScale }, vaeTiling },
) => {
  const tiling = vaeTiling ? VIDEO_TILING : undefined;
  const layoutOf = (size: { height: number; width: number }) =>
    tileFrames(tiling, { ...size, scale: latentScale.spatial });
  return sessionDecoder(tiledSession(session, { runtime, layoutOf }), { runtime, latentScale });
};
