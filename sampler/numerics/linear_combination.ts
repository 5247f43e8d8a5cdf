// Weighted sums of latents-sized arrays with torch's rounding. Written as loops, since `map` of a typed array
// takes ten times as long and solvers do most of the work between full passes.

/** A coefficient, rounded to float32 before use, and the array that it multiplies. */
export type Term = readonly [coefficient: number, values: Float32Array];

/** Options of the sum. */
export interface LinearCombinationOptions {
  /**
   * Rounded to float32 before use.
   * @default 1
   */
  divisor?: number;
}

/** Adds all terms one by one in float32, then divides. Returns a new array. */
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

/** The most common case, in one pass over the memory. */
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
