// Tiles for decoding the frames of videos, in pixels.
import type { TileLayout } from "./blend_tiles.ts";

export interface VideoTiling {
  /** Side of a tile. */
  side: number;
  /** Distance from one tile to the next. */
  stride: number;
}

/** The defaults of enable_tiling() in diffusers' AutoencoderKLWan and AutoencoderKLHunyuanVideo. */
export const VIDEO_TILING: VideoTiling = { side: 256, stride: 192 };

/**
 * Returns the tiles of a frame.
 * @param frame size of the latents, and pixels along the side of a latent pixel
 * @returns undefined if frames are decoded whole: without tiling, or if one tile holds a frame
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
