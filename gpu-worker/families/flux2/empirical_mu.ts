// The strength of FLUX.2's time shift, which was fitted to the number of image tokens and of steps
// (diffusers' compute_empirical_mu).

/** From this many tokens on the number of steps makes no difference. */
const LARGE = 4300;

export function empiricalMu(tokens: number, steps: number): number {
  const at200Steps = 0.00016927 * tokens + 0.45666666;
  if (tokens > LARGE) return at200Steps;
  const at10Steps = 8.73809524e-05 * tokens + 1.89833333;
  const slope = (at200Steps - at10Steps) / 190;
  return slope * steps + (at200Steps - 200 * slope);
}
