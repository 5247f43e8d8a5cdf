// Rotary tables of FLUX's and Chroma's positions (diffusers' FluxPosEmbed on
// FluxPipeline's text and image ids).
import { rotaryAngles } from "./rotary_angles.ts";

/** Rows and columns of image tokens: latent height / 2 and latent width / 2. */
export interface TokenGrid {
  height: number;
  width: number;
}

export interface FluxRotaryOptions extends TokenGrid {
  textTokens: number;
  /** Channels of a head per axis (axes_dims_rope): image, row, column. */
  axesDims: readonly number[];
  /** The images behind the picture, all at 1 on the first axis (FluxKontextPipeline's ids). @default none */
  references?: readonly TokenGrid[];
}

/** Both [tokens, sum(axesDims) / 2]: text first, then the picture, then the references, row-major. */
export interface FluxRotaryTables {
  cos: Float32Array<ArrayBuffer>;
  sin: Float32Array<ArrayBuffer>;
}

/**
 * Returns cosines and sines of the angles (rotary_angles.ts), computed in float64 and rounded once.
 * Text tokens are not rotated.
 */
export function fluxRotaryTables(
  { textTokens, height, width, axesDims, references = [] }: FluxRotaryOptions,
): FluxRotaryTables {
  const [imageDim, rowDim, columnDim] = axesDims as [number, number, number];
  const grids = [{ height, width }, ...references];
  const longest = (side: keyof TokenGrid) => Math.max(...grids.map((grid) => grid[side]));
  const images = rotaryAngles(2, imageDim);
  const [rows, columns] = [
    rotaryAngles(longest("height"), rowDim),
    rotaryAngles(longest("width"), columnDim),
  ];
  const pairs = (imageDim + rowDim + columnDim) / 2;
  const tokens = grids.reduce((sum, grid) => sum + grid.height * grid.width, textTokens);
  const table = (wave: (angle: number) => number) => {
    const [byImage, byRow, byColumn] = [images, rows, columns].map((axis) =>
      axis.map((at) => Float32Array.from(at, wave))
    ) as [Float32Array[], Float32Array[], Float32Array[]];
    const values = new Float32Array(tokens * pairs).fill(wave(0));
    let start = textTokens * pairs;
    for (const [index, { height, width }] of grids.entries()) {
      const image = byImage[index === 0 ? 0 : 1]!;
      for (let token = 0; token < height * width; token++, start += pairs) {
        values.set(image, start);
        values.set(byRow[Math.floor(token / width)]!, start + imageDim / 2);
        values.set(byColumn[token % width]!, start + (imageDim + rowDim) / 2);
      }
    }
    return values;
  };
  return { cos: table(Math.cos), sin: table(Math.sin) };
}
