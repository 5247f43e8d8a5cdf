// Chebyshev polynomials of the first kind, the basis of Spectrum's fit (arXiv 2603.01623).

/**
 * Returns T_0(tau) to T_degree(tau): float64 [degree + 1], by the recurrence T_n = 2 tau T_{n-1} - T_{n-2}.
 */
export function chebyshev(tau: number, degree: number): Float64Array {
  const values = new Float64Array(degree + 1);
  values[0] = 1;
  if (degree > 0) values[1] = tau;
  for (let n = 2; n <= degree; n++) values[n] = 2 * tau * values[n - 1]! - values[n - 2]!;
  return values;
}
