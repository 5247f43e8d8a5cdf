// Weighted sums of latents-sized arrays with torch's rounding. Loops, for `map` of a typed array takes ten times as long: between
// full passes a solver is most of what there is to do.

/** A coefficient, rounded to float32 before use, and what it multiplies. */
export type Term = readonly [coefficient: number, values: Float32Array];

/** What is done to the sum. */
export interface LinearCombinationOptions {
  /**
   * Rounded to float32 before use.
   * @default 1
   */
  divisor?: number;
}

/** The sum of all terms, added one by one in float32, then divided: a new array. */
export function linearCombination(
  terms: readonly [Term, ...Term[]],
  options: LinearCombinationOptions = {},
): Float32Array<ArrayBuffer> {
  const [first, second, ...others] = terms;
  const sum = new Float32Array(first[1].length);
  if (second === undefined) scale(sum, first);
  else addPair(sum, first, second);
  for (const term of others) add(sum, term);
  if (options.divisor !== undefined) divide(sum, f32(options.divisor));
  return sum;
}

function scale(sum: Float32Array, [coefficient, values]: Term): void {
  const factor = f32(coefficient);
  for (let i = 0; i < sum.length; i++) sum[i] = factor * values[i]!;
}

/** The commonest case, in one pass over the memory. */
function addPair(sum: Float32Array, [coefficientA, a]: Term, [coefficientB, b]: Term): void {
  const factorA = f32(coefficientA);
  const factorB = f32(coefficientB);
  for (let i = 0; i < sum.length; i++) sum[i] = f32(factorA * a[i]!) + f32(factorB * b[i]!);
}

function add(sum: Float32Array, [coefficient, values]: Term): void {
  const factor = f32(coefficient);
  for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + f32(factor * values[i]!);
}

function divide(sum: Float32Array, divisor: number): void {
  for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! / divisor;
}

const f32 = Math.fround;
