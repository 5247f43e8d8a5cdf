/**
 * Returns the least common multiple of two positive integers.
 * It counts up in steps of `a`, as patch sizes are small.
 */
export function leastCommonMultiple(a: number, b: number): number {
  let multiple = a;
  while (multiple % b !== 0) multiple += a;
  return multiple;
}
