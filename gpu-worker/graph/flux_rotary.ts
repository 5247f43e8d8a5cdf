// Rotary tables of FLUX positions (diffusers' FluxPosEmbed on FluxPipeline's text and image ids).

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

/** Cosines and sines of the angles position * THETA^(-2i / dim), in float64 and rounded once. Text tokens stay unrotated. */
export function fluxRotaryTables(
  { textTokens, height, width, axesDims }: FluxRotaryOptions,
): FluxRotaryTables {
  const [, rowFrequencies, columnFrequencies] = axesDims.map(frequencies);
  const columns = axesDims.reduce((sum, dim) => sum + dim / 2, 0);
  const tokens = textTokens + height * width;
  const cos = new Float32Array(tokens * columns).fill(1);
  const sin = new Float32Array(tokens * columns);
  let at = textTokens * columns;
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      // The first axis holds 0 for every token of a text-to-image pipeline.
      at += axesDims[0]! / 2;
      for (const [position, axis] of [[row, rowFrequencies!], [column, columnFrequencies!]] as const) {
        for (const frequency of axis) {
          cos[at] = Math.cos(position * frequency);
          sin[at++] = Math.sin(position * frequency);
        }
      }
    }
  }
  return { cos, sin };
}

function frequencies(dim: number): number[] {
  return Array.from({ length: dim / 2 }, (_, i) => 1 / THETA ** (2 * i / dim));
}
