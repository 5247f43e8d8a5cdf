// The quantile function of the beta distribution with alpha = beta = 0.6. "Beta Sampling is All You Need"
// (arXiv 2407.12173) spaces its timesteps by it: `scipy.stats.beta.ppf(p, 0.6, 0.6)` in diffusers.

const SHAPE = 0.6;
/** B(0.6, 0.6) = gamma(0.6)^2 / gamma(1.2). */
const BETA_FUNCTION = 2.4153442080024723;

/** Returns the x in 0..1 below which a share `p` of the distribution lies, to about 1e-13. */
export function betaQuantile(p: number): number {
  if (p <= 0) return 0;
  if (p >= 1) return 1;
  if (p > 0.5) return 1 - betaQuantile(1 - p);
  // Newton's method from the first term of the distribution's series. The share is concave below 1/2, so that
  // the iterates rise to the root from below after the first.
  let x = Math.min(0.5, (p * SHAPE * BETA_FUNCTION) ** (1 / SHAPE));
  for (let i = 0; i < 50; i++) {
    const move = (share(x) - p) / density(x);
    x -= move;
    if (Math.abs(move) <= 1e-15 * x) break;
  }
  return x;
}

function density(x: number): number {
  return (x * (1 - x)) ** (SHAPE - 1) / BETA_FUNCTION;
}

/**
 * The share of the distribution below x <= 0.5: x^a times the sum over n of (1 - b)_n x^n / (n! (a + n)),
 * over B(a, b); the terms fall by a factor of at least x, so sixty reach float64's precision.
 */
function share(x: number): number {
  let coefficient = 1;
  let sum = 0;
  for (let n = 0; n < 60; n++) {
    sum += coefficient / (SHAPE + n);
    coefficient *= (n + 1 - SHAPE) / (n + 1) * x;
  }
  return x ** SHAPE * sum / BETA_FUNCTION;
}
