// Solves small symmetric positive definite systems, in float64.

/**
 * Factors a symmetric positive definite A. Returns a function that solves A x = b for any b.
 *
 * A singular A, such as a fit of more columns than rows without a penalty, gets a jitter of 1e-6
 * times its mean diagonal.
 *
 * @param a [n, n] in row-major order; only the lower triangle is read.
 * @returns A function from b [n] to x [n], which the caller owns.
 * @throws {RangeError} If A is not positive definite even with the jitter.
 */
export function choleskySolver(a: Float64Array): (b: Float64Array) => Float64Array {
  const n = Math.sqrt(a.length);
  let mean = 0;
  for (let i = 0; i < n; i++) mean += a[i * n + i]! / n;
  const factor = factorize(a, n, { jitter: 0, smallestPivot: mean * 1e-14 }) ??
    factorize(a, n, { jitter: mean * 1e-6, smallestPivot: 0 });
  if (factor === undefined) {
    throw new RangeError("Cannot solve the system as its matrix is not positive definite");
  }
  return (b) => substitute(factor, b);
}

interface FactorizeOptions {
  jitter: number;
  smallestPivot: number;
}

/**
 * Returns the lower L with L L^T = A + jitter I, or undefined where a pivot is not above the smallest one.
 */
function factorize(a: Float64Array, n: number, options: FactorizeOptions): Float64Array | undefined {
  const lower = new Float64Array(n * n);
  for (let row = 0; row < n; row++) {
    for (let col = 0; col <= row; col++) {
      let sum = a[row * n + col]!;
      if (row === col) sum += options.jitter;
      for (let k = 0; k < col; k++) sum -= lower[row * n + k]! * lower[col * n + k]!;
      if (row !== col) lower[row * n + col] = sum / lower[col * n + col]!;
      else if (sum > options.smallestPivot) lower[row * n + row] = Math.sqrt(sum);
      else return undefined;
    }
  }
  return lower;
}

/** Solves L L^T x = b: forward, then backward. */
function substitute(lower: Float64Array, b: Float64Array): Float64Array {
  const n = b.length;
  const x = b.slice();
  for (let row = 0; row < n; row++) {
    for (let k = 0; k < row; k++) x[row]! -= lower[row * n + k]! * x[k]!;
    x[row]! /= lower[row * n + row]!;
  }
  for (let row = n - 1; row >= 0; row--) {
    for (let k = row + 1; k < n; k++) x[row]! -= lower[k * n + row]! * x[k]!;
    x[row]! /= lower[row * n + row]!;
  }
  return x;
}
