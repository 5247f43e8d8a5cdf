/** Of two positive whole numbers; in steps of the first, as sizes of patches are small. */
export function leastCommonMultiple(a: number, b: number): number {
  let multiple = a;
  while (multiple % b !== 0) multiple += a;
  return multiple;
}
