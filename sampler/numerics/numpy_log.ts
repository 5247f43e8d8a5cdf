// Float32 logarithm with the rounding of numpy's AVX2 and AVX-512 kernels: a rational minimax function with
// fused multiply-adds. Timesteps that diffusers truncates to integers depend on its last bit.

/**
 * Returns `np.log(np.float32(x))` of a positive normal float32.
 *
 * Split as x = m 2^e with sqrt(1/2) <= m < sqrt(2), then log(x) = P(m - 1) / Q(m - 1) + e log(2).
 */
export function numpyLog(x: number): number {
  let exponent = Math.floor(Math.log2(x)) + 1;
  let m = x * 2 ** -exponent;
  if (m < SQRT_HALF) {
    exponent--;
    m *= 2;
  }
  m = f32(m - 1);
  return f32(exponent * LOG_2 + f32(polynomial(P, m) / polynomial(Q, m)));
}

/**
 * Evaluates by Horner's rule; a product of two float32 is exact in float64, so that each sum rounds
 * like a fused multiply-add.
 */
function polynomial(coefficients: readonly number[], x: number): number {
  return coefficients.reduce((sum, coefficient) => f32(sum * x + coefficient));
}

const f32 = Math.fround;
const SQRT_HALF = f32(Math.SQRT1_2);
const LOG_2 = f32(Math.LN2);

/** Highest power first. */
const P = [
  2.589979117907922693523e-02,
  3.808837741388407920751e-01,
  1.480000633576506585156,
  2.112677543073053063722,
  9.999999999999998702752e-01,
  0,
].map(f32);
const Q = [
  5.875095403124574342950e-03,
  1.546476374983906719538e-01,
  9.864942958519418960339e-01,
  2.453006071784736363091,
  2.612677543073109236779,
  1,
].map(f32);
