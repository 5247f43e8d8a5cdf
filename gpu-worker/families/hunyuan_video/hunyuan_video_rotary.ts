// Rotary tables of HunyuanVideo's tokens (diffusers' HunyuanVideoRotaryPosEmbed):
// text tokens, then video tokens.

export interface HunyuanVideoRotaryOptions {
  textTokens: number;
  /** Patches in time, down and across. */
  grid: readonly [frames: number, rows: number, columns: number];
  /** Channels of a head per axis of the grid (rope_axes_dim). */
  axesDims: readonly [number, number, number];
  theta: number;
}

/** Both tables are [textTokens + patches, sum(axesDims) / 2]. The grid's last axis varies fastest. */
export interface HunyuanVideoRotaryTables {
  cos: Float32Array<ArrayBuffer>;
  sin: Float32Array<ArrayBuffer>;
}

/**
 * Returns cosines and sines of the angles position * theta^(-2i / dim), computed in float64 and rounded once.
 * Text tokens are not rotated.
 */
export function hunyuanVideoRotaryTables(options: HunyuanVideoRotaryOptions): HunyuanVideoRotaryTables {
  const { textTokens, grid, axesDims, theta } = options;
  const [frames, rows, columns] = grid;
  const pairs = axesDims.reduce((sum, dim) => sum + dim / 2, 0);
  const table = (wave: (angle: number) => number) => {
    const byAxis = grid.map((count, axis) => axisTable(count, { dim: axesDims[axis]!, theta, wave }));
    const values = new Float32Array((textTokens + frames * rows * columns) * pairs).fill(wave(0));
    let at = textTokens * pairs;
    for (let frame = 0; frame < frames; frame++) {
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          for (const [axis, position] of [frame, row, column].entries()) {
            const angles = byAxis[axis]![position]!;
            values.set(angles, at);
            at += angles.length;
          }
        }
      }
    }
    return values;
  };
  return { cos: table(Math.cos), sin: table(Math.sin) };
}

interface AxisOptions {
  dim: number;
  theta: number;
  wave: (angle: number) => number;
}

/** [count][dim / 2] */
function axisTable(count: number, { dim, theta, wave }: AxisOptions): Float32Array[] {
  const frequencies = Array.from({ length: dim / 2 }, (_, i) => 1 / theta ** (2 * i / dim));
  return Array.from(
    { length: count },
    (_, position) => Float32Array.from(frequencies, (frequency) => wave(position * frequency)),
  );
}
