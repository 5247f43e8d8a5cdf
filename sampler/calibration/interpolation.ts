// Lagrange interpolation on a grid of uneven points.

/** Number of neighbouring points that an interpolation uses. */
const NEIGHBOURS = 4;

/** Weights of a few points: those from `first` on. */
export interface InterpolationRow {
  first: number;
  weights: Float64Array;
}

/**
 * Returns the weights that interpolate a function, known on `grid`, at `at`: a cubic through the four nearest
 * points. At a point of the grid it is that point alone. Outside the grid it is the point at the end.
 *
 * @param grid Strictly descending.
 */
export function interpolationRow(grid: Float64Array, at: number): InterpolationRow {
  const last = grid.length - 1;
  const clamped = Math.min(grid[0]!, Math.max(grid[last]!, at));
  // The first point that is not above.
  const next = grid.findIndex((point) => point <= clamped);
  if (grid[next] === clamped) return { first: next, weights: Float64Array.of(1) };
  const count = Math.min(NEIGHBOURS, grid.length);
  const first = Math.min(Math.max(0, next - count / 2), grid.length - count);
  const start = Math.ceil(first);
  const points = grid.subarray(start, start + count);
  const weights = Float64Array.from(points, (point, i) => {
    let weight = 1;
    for (const [j, other] of points.entries()) {
      if (j !== i) weight *= (clamped - other) / (point - other);
    }
    return weight;
  });
  return { first: start, weights };
}

/** Interpolates a symmetric matrix, [points, points], in both directions. Returns float64 [rows, rows]. */
export function interpolateMatrix(
  matrix: Float64Array,
  rows: readonly InterpolationRow[],
): Float64Array {
  const points = Math.sqrt(matrix.length);
  const half = rows.map((row) => combine(row, (k) => matrix.subarray(k * points, (k + 1) * points)));
  const result = new Float64Array(rows.length ** 2);
  for (const [i, values] of half.entries()) {
    for (let j = 0; j <= i; j++) {
      const { first, weights } = rows[j]!;
      let sum = 0;
      for (const [k, weight] of weights.entries()) sum += weight * values[first + k]!;
      result[i * rows.length + j] = sum;
      result[j * rows.length + i] = sum;
    }
  }
  return result;
}

/** Interpolates a vector, [points]. Returns float64 [rows]. */
export function interpolateVector(vector: Float64Array, rows: readonly InterpolationRow[]): Float64Array {
  return Float64Array.from(rows, ({ first, weights }) => {
    let sum = 0;
    for (const [k, weight] of weights.entries()) sum += weight * vector[first + k]!;
    return sum;
  });
}

function combine({ first, weights }: InterpolationRow, rowOf: (k: number) => Float64Array): Float64Array {
  const sum = new Float64Array(rowOf(0).length);
  for (const [k, weight] of weights.entries()) {
    const row = rowOf(first + k);
    for (let i = 0; i < sum.length; i++) sum[i]! += weight * row[i]!;
  }
  return sum;
}
