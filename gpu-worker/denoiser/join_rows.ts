/** The rows one after the other, in float32: a new array. */
export function joinRows(rows: readonly (Float32Array | Float64Array)[]): Float32Array<ArrayBuffer> {
  const length = rows[0]!.length;
  const joined = new Float32Array(rows.length * length);
  for (const [i, row] of rows.entries()) joined.set(row, i * length);
  return joined;
}
