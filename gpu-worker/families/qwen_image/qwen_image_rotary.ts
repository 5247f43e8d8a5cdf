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
  /** Rows and columns of each reference's tokens. @default no references */
  references?: readonly { height: number; width: number }[];
  /** Channels of a head per axis (axes_dims_rope): frame, row, column. */
  axesDims: readonly number[];
}

/**
 * Returns the tables of text tokens, then of image tokens, row-major, then of each reference's tokens.
 * A picture's middle is position 0 of rows and columns; the image is frame 0, references follow. Text goes on
 * where the longest side ends, on all axes.
 */
export function qwenImageRotaryTables(
  { textTokens, height, width, references = [], axesDims }: QwenImageRotaryOptions,
): AxesRotaryTables {
  const pictures = [{ height, width }, ...references];
  const textStart = Math.max(...pictures.flatMap(({ height, width }) => [height >> 1, width >> 1]));
  const text = Array.from({ length: textTokens }, (_, token) => axesDims.map(() => textStart + token));
  const image = pictures.flatMap(({ height, width }, frame) =>
    centredGrid(height, width).map(([row, column]) => [frame, row, column])
  );
  return axesRotaryTables({ positions: [...text, ...image], axesDims });
}
