// The angles of rotary position embeddings (arXiv 2104.09864, section 3.2.2).
const THETA = 10000;

/**
 * Returns the angles position * 10000^(-2i / dim) of each position, [count][dim / 2], in float64.
 * @param dim channels that an axis rotates
 */
export function rotaryAngles(count: number, dim: number): Float64Array[] {
  const frequencies = Float64Array.from({ length: dim / 2 }, (_, i) => 1 / THETA ** (2 * i / dim));
  return Array.from({ length: count }, (_, position) => frequencies.map((frequency) => position * frequency));
}
