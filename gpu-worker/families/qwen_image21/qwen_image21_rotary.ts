// Rotary tables of Qwen-Image-2.1's positions (diffusers' QwenImage21Rope), without condition images.
import {
  type AxesRotaryTables,
  axesRotaryTables,
  centredGrid,
} from "../../graph/layers/attention/axes_rotary.ts";

export interface QwenImage21RotaryOptions {
  textTokens: number;
  /** Rows of image tokens. */
  height: number;
  /** Columns of image tokens. */
  width: number;
  /** Channels of a head per axis (axes_dims_rope): frame, row, column. */
  axesDims: readonly number[];
}

/**
 * Returns the tables of text and of the image's tokens, row-major. Text counts from 0 on all axes. The image
 * is one frame after it, and its middle is position 0 of rows and columns.
 */
export function qwenImage21RotaryTables(
  { textTokens, height, width, axesDims }: QwenImage21RotaryOptions,
): Record<"text" | "image", AxesRotaryTables> {
  const text = Array.from({ length: textTokens }, (_, token) => axesDims.map(() => token));
  const image = centredGrid(height, width).map(([row, column]) => [textTokens, row, column]);
  return {
    text: axesRotaryTables({ positions: text, axesDims }),
    image: axesRotaryTables({ positions: image, axesDims }),
  };
}
