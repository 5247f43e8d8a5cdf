// Rotary tables of tokens whose positions have several axes, each with its own channels of a head.

export interface AxisRotaryOptions {
  /** Each token's position on every axis. */
  positions: readonly (readonly number[])[];
  /** Channels of a head for each axis; even. */
  axesDims: readonly number[];
  /** Base of the frequencies. */
  theta: number;
  /** Rounds each angle before its cosine is taken, as some networks do. @default no rounding */
  round?: (angle: number) => number;
}

/** Both [tokens, sum(axesDims) / 2], axis after axis. */
export interface RotaryTables {
  cos: Float32Array<ArrayBuffer>;
  sin: Float32Array<ArrayBuffer>;
}

/** Returns cosines and sines of the angles position * theta^(-2i / dim), computed in float64. */
export function axisRotaryTables(
  { positions, axesDims, theta, round = (angle) => angle }: AxisRotaryOptions,
): RotaryTables {
  const pairs = axesDims.reduce((sum, dim) => sum + dim / 2, 0);
  const [cos, sin] = [new Float32Array(positions.length * pairs), new Float32Array(positions.length * pairs)];
  const frequencies = axesDims.map((dim) =>
    Array.from({ length: dim / 2 }, (_, i) => 1 / theta ** (2 * i / dim))
  );
  let at = 0;
  for (const position of positions) {
    for (const [axis, ofAxis] of frequencies.entries()) {
      for (const frequency of ofAxis) {
        const angle = round(position[axis]! * frequency);
        cos[at] = Math.cos(angle);
        sin[at++] = Math.sin(angle);
      }
    }
  }
  return { cos, sin };
}
