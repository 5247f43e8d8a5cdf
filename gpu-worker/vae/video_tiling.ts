// Tiles in which the frames of videos are decoded, in pixels.
import type { TileLayout } from "./blend_tiles.ts";

export interface VideoTiling {
  /** Of a tile. */
  side: number;
  /** From one tile to the next. */
  stride: number;
}

/** enable_tiling() without arguments, of diffusers' AutoencoderKLWan and AutoencoderKLHunyuanVideo alike. */
export const CLIP_TILING: VideoTiling = { side: 256, stride: 192 };

/**
 * @param frame latents' size, and the pixels of a latent pixel's side
 * @returns undefined if frames are decoded whole: without tiling, or where one tile holds them
 */
export function tileFrames(
  tiling: VideoTiling | undefined,
  { height, width, scale }: { height: number; width: number; scale: number },
): TileLayout | undefined {
  if (tiling === undefined) return undefined;
  const side = Math.floor(tiling.side / scale);
  if (Math.max(height, width) <= side) return undefined;
  return {
    scale,
    side,
    stride: Math.floor(tiling.stride / scale),
    blend: tiling.side - tiling.stride,
    keep: tiling.stride,
  };
}
