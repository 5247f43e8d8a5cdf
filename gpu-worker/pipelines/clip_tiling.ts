// Tiles in which the frames of clips are decoded, in pixels.

export interface ClipTiling {
  /** Of a tile. */
  side: number;
  /** From one tile to the next. */
  stride: number;
}

/** enable_tiling() without arguments, of diffusers' AutoencoderKLWan and AutoencoderKLHunyuanVideo alike. */
export const CLIP_TILING: ClipTiling = { side: 256, stride: 192 };
