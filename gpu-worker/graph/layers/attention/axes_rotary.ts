// Rotary tables of tokens that have a position on each of several axes, like Qwen-Image's
// (diffusers' rope_params).

export interface AxesRotaryOptions {
  /** The position of each token on each axis. */
  positions: readonly (readonly number[])[];
  /** Channels of a head per axis (axes_dims_rope). */
  axesDims: readonly number[];
}

/** Both [tokens, sum(axesDims) / 2]. */
export interface AxesRotaryTables {
  cos: Float32Array<ArrayBuffer>;
  sin: Float32Array<ArrayBuffer>;
}

const THETA = 10000;

/**
 * Returns cosines and sines of the angles position * THETA^(-2i / dim), which are
 * rounded to float32 as in torch.
 */
export function axesRotaryTables({ positions, axesDims }: AxesRotaryOptions): AxesRotaryTables {
  const frequencies = axesDims.map(frequenciesOf);
  const pairs = axesDims.reduce((sum, dim) => sum + dim / 2, 0);
  const cos = new Float32Array(positions.length * pairs);
  const sin = new Float32Array(cos.length);
  let at = 0;
  for (const token of positions) {
    for (const [axis, position] of token.entries()) {
      for (const frequency of frequencies[axis]!) {
        const angle = Math.fround(position * frequency);
        cos[at] = Math.cos(angle);
        sin[at++] = Math.sin(angle);
      }
    }
  }
  return { cos, sin };
}

/** Returns the rows and columns of an image's tokens, row-major, whose middle is at 0. */
export function centredGrid(height: number, width: number): [row: number, column: number][] {
  const [top, left] = [height, width].map((side) => (side >> 1) - side) as [number, number];
  return Array.from(
    { length: height * width },
    (_, token) => [top + Math.floor(token / width), left + token % width],
  );
}

function frequenciesOf(dim: number): number[] {
  const { fround } = Math;
  return Array.from({ length: dim / 2 }, (_, i) => fround(1 / fround(THETA ** fround(2 * i / dim))));
}
