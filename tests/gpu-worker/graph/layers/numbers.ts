/** Returns reproducible numbers in -1..1 without a pattern. */
export function numbers(count: number, seed: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: count }, (_, i) => (Math.sin((i + 1) * seed) * 43758.5453) % 1);
}
