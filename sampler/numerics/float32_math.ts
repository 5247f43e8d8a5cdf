// Float32 logarithm, sine and cosine with the rounding of torch's AVX2 kernels: the Cephes polynomials (logf,
// sinf, cosf), evaluated in single precision with fused multiply-adds where torch's compiler contracts them.

/** Destination of {@linkcode sinCos}. */
export interface SinCos {
  sin: number;
  cos: number;
}

/**
 * Returns the natural logarithm of a positive normal float32, rounded like torch's vectorised `log`.
 *
 * Split as x = m 2^e with sqrt(1/2) <= m < sqrt(2), then log(x) = log(m) + e log(2), log(2) in two parts.
 */
export function log(x: number): number {
  FLOAT[0] = x;
  const bits = BITS[0]!;
  let exponent = (bits >>> 23) - 126;
  BITS[0] = (bits & 0x007fffff) | 0x3f000000;
  let m = FLOAT[0]!;
  if (m < SQRT_HALF) {
    exponent--;
    m = f32(m - 1 + m);
  } else {
    m = f32(m - 1);
  }
  const square = f32(m * m);
  let p = f32(LOG_0 * m + LOG_1);
  p = f32(p * m + LOG_2);
  p = f32(p * m + LOG_3);
  p = f32(p * m + LOG_4);
  p = f32(p * m + LOG_5);
  p = f32(p * m + LOG_6);
  p = f32(p * m + LOG_7);
  p = f32(p * m + LOG_8);
  p = f32(p * m);
  p = f32(p * square + f32(exponent * LOG_2_LOW));
  p = f32(p - 0.5 * square);
  return f32(exponent * LOG_2_HIGH + f32(m + p));
}

/**
 * Writes sine and cosine of a float32 angle in 0..2 pi, rounded like torch's vectorised `sincos`.
 *
 * The angle is reduced to -pi/4..pi/4 by a multiple of pi/4 that is subtracted in three parts.
 */
export function sinCos(angle: number, out: SinCos): void {
  const octant = (Math.trunc(f32(angle * FOUR_OVER_PI)) + 1) & ~1;
  let x = f32(octant * -PI_4_HIGH + angle);
  x = f32(octant * -PI_4_MIDDLE + x);
  x = f32(octant * -PI_4_LOW + x);
  const square = f32(x * x);
  let c = f32(COS_0 * square + COS_1);
  c = f32(c * square + COS_2);
  c = f32(c * square);
  c = f32(f32(c * square - 0.5 * square) + 1);
  let s = f32(SIN_0 * square + SIN_1);
  s = f32(s * square + SIN_2);
  s = f32(s * square);
  s = f32(s * x + x);
  const swapped = (octant & 2) !== 0;
  const sin = swapped ? c : s;
  const cos = swapped ? s : c;
  out.sin = (octant & 4) !== 0 ? -sin : sin;
  out.cos = ((octant - 2) & 4) === 0 ? -cos : cos;
}

// A product of two float32 is exact in float64, so f32(a * b + c) rounds like a fused multiply-add but for a
// double rounding about once in 2^29 operations.
const f32 = Math.fround;

const FLOAT = new Float32Array(1);
const BITS = new Uint32Array(FLOAT.buffer);

const SQRT_HALF = f32(0.707106781186547524);
const LOG_2_HIGH = f32(0.693359375);
const LOG_2_LOW = f32(-2.12194440e-4);
const LOG_0 = f32(7.0376836292e-2);
const LOG_1 = f32(-1.1514610310e-1);
const LOG_2 = f32(1.1676998740e-1);
const LOG_3 = f32(-1.2420140846e-1);
const LOG_4 = f32(1.4249322787e-1);
const LOG_5 = f32(-1.6668057665e-1);
const LOG_6 = f32(2.0000714765e-1);
const LOG_7 = f32(-2.4999993993e-1);
const LOG_8 = f32(3.3333331174e-1);

const FOUR_OVER_PI = f32(1.27323954473516);
const PI_4_HIGH = f32(0.78515625);
const PI_4_MIDDLE = f32(2.4187564849853515625e-4);
const PI_4_LOW = f32(3.77489497744594108e-8);
const COS_0 = f32(2.443315711809948e-5);
const COS_1 = f32(-1.388731625493765e-3);
const COS_2 = f32(4.166664568298827e-2);
const SIN_0 = f32(-1.9515295891e-4);
const SIN_1 = f32(8.3321608736e-3);
const SIN_2 = f32(-1.6666654611e-1);
