// Joins rows on the host, sums them with weights, or picks them one by one.

/** Returns the sum of weights[i] * rows[i] as a new array. It is computed in float64 and rounded once. */
export function combineRows(
  rows: readonly Float32Array[],
  weights: ArrayLike<number>,
): Float32Array<ArrayBuffer> {
  const first = rows[0]!;
  if (rows.length === 1 && weights[0] === 1) return new Float32Array(first);
  const sum = new Float32Array(first.length);
  if (rows.length === 2) {
    // Two rows are guidance, which runs at every full pass: worth a faster loop.
    const [a, b] = [weights[0]!, weights[1]!];
    const second = rows[1]!;
    for (let i = 0; i < sum.length; i++) sum[i] = a * first[i]! + b * second[i]!;
    return sum;
  }
  for (let i = 0; i < sum.length; i++) {
    let value = 0;
    for (let row = 0; row < rows.length; row++) value += weights[row]! * rows[row]![i]!;
    sum[i] = value;
  }
  return sum;
}

/** Joins the rows into a new float32 array. */
export function joinRows(rows: readonly (Float32Array | Float64Array)[]): Float32Array<ArrayBuffer> {
  const length = rows[0]!.length;
  const joined = new Float32Array(rows.length * length);
  for (const [i, row] of rows.entries()) joined.set(row, i * length);
  return joined;
}

/** Returns `length` weight vectors, [length, length]; vector i picks row i. */
export function oneByOne(length: number): Float64Array[] {
  return Array.from({ length }, (_, index) => new Float64Array(length).fill(1, index, index + 1));
}
