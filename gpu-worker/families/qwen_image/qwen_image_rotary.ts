// Rotary tables of Qwen-Image's positions (diffusers' QwenEmbedRope with scale_rope).
import {
  type AxesRotaryTables,
  axesRotaryTables,
  centredGrid,
} from "../../graph/layers/attention/axes_rotary.ts";

export interface QwenImageRotaryOptions {
  textTokens: number;
  /** Rows of image tokens: latent height / 2. */
  height: number;
  /** Columns of image tokens: latent width / 2. */
  width: number;
  /** Channels of a head per axis (axes_dims_rope): frame, row, column. */
  axesDims: readonly number[];
}

/**
 * Returns the tables of text tokens, then of image tokens, row-major.
 * The image's middle is position 0 of rows and columns. Text goes on where the longer side ends, on all axes.
 */
export function qwenImageRotaryTables(
  { textTokens, height, width, axesDims }: QwenImageRotaryOptions,
): AxesRotaryTables {
  const textStart = Math.max(height >> 1, width >> 1);
  const text = Array.from({ length: textTokens }, (_, token) => axesDims.map(() => textStart + token));
  const image = centredGrid(height, width).map(([row, column]) => [0, row, column]);
  return axesRotaryTables({ positions: [...text, ...image], axesDims });
}
