/** Weights that pick each of `length` in turn, [length, length]. */
export function oneByOne(length: number): Float64Array[] {
  return Array.from({ length }, (_, index) => new Float64Array(length).fill(1, index, index + 1));
}
