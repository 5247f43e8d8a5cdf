import type { LatentScale } from "./latent_scale.ts";

/**
 * Size of a video's latents as the autoencoder uses them, [channels, frames, height,
 * width]. A picture has one frame.
 */
export interface VideoSize {
  channels: number;
  frames: number;
  height: number;
  width: number;
}

/** Returns the size of the latents of a picture or video. */
export function latentsOf(
  { channels, spatial, temporal = 1, lead = 0 }: LatentScale,
  { width, height, numFrames = 1 }: { width: number; height: number; numFrames?: number | undefined },
): VideoSize {
  return {
    channels,
    frames: lead + (numFrames - 1) / temporal + 1,
    height: height / spatial,
    width: width / spatial,
  };
}
