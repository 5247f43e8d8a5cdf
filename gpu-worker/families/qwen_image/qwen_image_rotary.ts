// Rotary tables of Qwen-Image's positions (diffusers' QwenEmbedRope with scale_rope).

export interface QwenImageRotaryOptions {
  textTokens: number;
  /** Rows of image tokens: latent height / 2. */
  height: number;
  /** Columns of image tokens: latent width / 2. */
  width: number;
  /** Channels of a head per axis (axes_dims_rope): frame, row, column. */
  axesDims: readonly number[];
}

/** Both [textTokens + height * width, sum(axesDims) / 2], text first, row-major. */
export interface QwenImageRotaryTables {
  cos: Float32Array<ArrayBuffer>;
  sin: Float32Array<ArrayBuffer>;
}

const THETA = 10000;

/**
 * Returns cosines and sines of the angles position * THETA^(-2i / dim), which are rounded to float32 as in torch.
 * The image's middle is position 0 of rows and columns. Text goes on where the longer side ends, on all axes.
 */
export function qwenImageRotaryTables(options: QwenImageRotaryOptions): QwenImageRotaryTables {
  const { textTokens, height, width, axesDims } = options;
  const frequencies = axesDims.map(frequenciesOf);
  const pairs = axesDims.reduce((sum, dim) => sum + dim / 2, 0);
  const cos = new Float32Array((textTokens + height * width) * pairs);
  const sin = new Float32Array(cos.length);
  let at = 0;
  const add = (positions: readonly number[]) => {
    for (const [axis, position] of positions.entries()) {
      for (const frequency of frequencies[axis]!) {
        const angle = Math.fround(position * frequency);
        cos[at] = Math.cos(angle);
        sin[at++] = Math.sin(angle);
      }
    }
  };
  const textStart = Math.max(height >> 1, width >> 1);
  for (let token = 0; token < textTokens; token++) add(Array(axesDims.length).fill(textStart + token));
  const [top, left] = [height, width].map((side) => (side >> 1) - side) as [number, number];
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) add([0, top + row, left + column]);
  }
  return { cos, sin };
}

function frequenciesOf(dim: number): number[] {
  const { fround } = Math;
  return Array.from({ length: dim / 2 }, (_, i) => fround(1 / fround(THETA ** fround(2 * i / dim))));
}
