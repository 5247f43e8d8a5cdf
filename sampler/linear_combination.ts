// Weighted sums of latents-sized arrays with torch's rounding.

/** A coefficient, rounded to float32 before use, and what it multiplies. */
export type Term = readonly [coefficient: number, values: Float32Array];

/** The sum of all terms, added one by one in float32: a new array. */
export function linearCombination(terms: readonly [Term, ...Term[]]): Float32Array<ArrayBuffer> {
  const [[scale, first], ...others] = terms;
  const factor = f32(scale);
  const sum = new Float32Array(first.length);
  for (let i = 0; i < sum.length; i++) sum[i] = factor * first[i]!;
  for (const [coefficient, values] of others) {
    const c = f32(coefficient);
    for (let i = 0; i < sum.length; i++) sum[i]! += f32(c * values[i]!);
  }
  return sum;
}

const f32 = Math.fround;
