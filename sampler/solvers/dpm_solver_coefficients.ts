// The coefficients of DPM-Solver's updates (arXiv 2206.00927), DPM-Solver++'s (arXiv 2211.01095), and of both
// as stochastic differential equations, as in diffusers' DPMSolverMultistepScheduler.

import type { LambdaLevel } from "./lambda_level.ts";

/** With ++ the updates integrate predicted originals, without predicted noise; with sde they add noise. */
export type DpmSolverAlgorithm = "dpmsolver" | "dpmsolver++" | "sde-dpmsolver" | "sde-dpmsolver++";

/** A step from one level to the next. */
export interface DpmSolverStep {
  algorithm: DpmSolverAlgorithm;
  /** Weighting of the first derivative: midpoint or heun. Third-order steps always use heun. */
  derivative: "midpoint" | "heun";
  from: LambdaLevel;
  to: LambdaLevel;
}

/** Factors of the terms of the update. */
export interface DpmSolverCoefficients {
  latents: number;
  /** Factors of the converted output and of its first and second derivative, in units of the step. */
  outputs: readonly [number, number, number];
  /** Factor of the noise. Deterministic algorithms have none. */
  noise?: number;
}

/** Computes in float64. The last step, to a sigma of 0, has an infinite length. */
export function dpmSolverCoefficients(
  { algorithm, derivative, from, to }: DpmSolverStep,
): DpmSolverCoefficients {
  const h = to.lambda - from.lambda;
  const midpoint = derivative === "midpoint";
  switch (algorithm) {
    case "dpmsolver++": {
      const phi = Math.expm1(-h);
      const first = midpoint ? -0.5 * phi : phi / h + 1;
      const second = 0.5 - (phi + h) / h ** 2;
      return { latents: to.sigma / from.sigma, outputs: scale(to.alpha, [-phi, first, second]) };
    }
    case "dpmsolver": {
      const phi = Math.expm1(h);
      const first = midpoint ? 0.5 * phi : phi / h - 1;
      const second = (phi - h) / h ** 2 - 0.5;
      return { latents: to.alpha / from.alpha, outputs: scale(-to.sigma, [phi, first, second]) };
    }
    case "sde-dpmsolver++": {
      const phi = -Math.expm1(-2 * h);
      const first = midpoint ? 0.5 * phi : 1 - phi / (2 * h);
      const second = (phi - 2 * h) / (2 * h) ** 2 - 0.5;
      return {
        latents: to.sigma / from.sigma * Math.exp(-h),
        outputs: scale(to.alpha, [phi, first, second]),
        noise: to.sigma * Math.sqrt(phi),
      };
    }
    case "sde-dpmsolver": {
      const phi = Math.expm1(h);
      const first = midpoint ? phi : 2 * (phi / h - 1);
      return {
        latents: to.alpha / from.alpha,
        // Nobody has published a third order, and diffusers has none.
        outputs: scale(-to.sigma, [2 * phi, first, 0]),
        noise: to.sigma * Math.sqrt(Math.expm1(2 * h)),
      };
    }
    default:
      throw new TypeError(`Cannot step as the algorithm is unknown: ${algorithm satisfies never}`);
  }
}

function scale(factor: number, [a, b, c]: [number, number, number]): [number, number, number] {
  return [factor * a, factor * b, factor * c];
}
