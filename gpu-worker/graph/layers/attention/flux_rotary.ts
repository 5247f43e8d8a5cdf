// Rotary tables of FLUX's and Chroma's positions (diffusers' FluxPosEmbed on
// FluxPipeline's text and image ids).

export interface FluxRotaryOptions {
  textTokens: number;
  /** Rows of image tokens: latent height / 2. */
  height: number;
  /** Columns of image tokens: latent width / 2. */
  width: number;
  /** Channels of a head per axis (axes_dims_rope): unused, row, column. */
  axesDims: readonly number[];
}

/** Both [textTokens + height * width, sum(axesDims) / 2], text first, row-major. */
export interface FluxRotaryTables {
  cos: Float32Array<ArrayBuffer>;
  sin: Float32Array<ArrayBuffer>;
}

const THETA = 10000;

/**
 * Returns cosines and sines of the angles position * THETA^(-2i / dim), computed in float64 and rounded once.
 * Text tokens are not rotated.
 */
export function fluxRotaryTables(
  { textTokens, height, width, axesDims }: FluxRotaryOptions,
): FluxRotaryTables {
  const [unused, rowDim, columnDim] = axesDims as [number, number, number];
  const [rows, columns] = [angles(height, rowDim), angles(width, columnDim)];
  const pairs = (unused + rowDim + columnDim) / 2;
  const table = (wave: (angle: number) => number) => {
    const [byRow, byColumn] = [rows, columns].map((axis) => axis.map((at) => Float32Array.from(at, wave)));
    const values = new Float32Array((textTokens + height * width) * pairs).fill(wave(0));
    for (let token = 0; token < height * width; token++) {
      // The first axis is 0 for every token of text-to-image pipelines.
      const start = (textTokens + token) * pairs + unused / 2;
      values.set(byRow![Math.floor(token / width)]!, start);
      values.set(byColumn![token % width]!, start + rowDim / 2);
    }
    return values;
  };
  return { cos: table(Math.cos), sin: table(Math.sin) };
}

/** Returns the angles of each position, [count][dim / 2]. */
function angles(count: number, dim: number): Float64Array[] {
  const frequencies = Float64Array.from({ length: dim / 2 }, (_, i) => 1 / THETA ** (2 * i / dim));
  return Array.from({ length: count }, (_, position) => frequencies.map((frequency) => position * frequency));
}
