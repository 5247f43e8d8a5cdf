// The coefficients of UniPC's predictor and corrector (arXiv 2302.04867, algorithms 5 and 6), as in
// diffusers' UniPCMultistepScheduler.

import type { LambdaLevel } from "./lambda_level.ts";
import { solveLinear } from "../numerics/solve_linear.ts";

/** A step to `to`, from the levels at which there are outputs, the latest first: as many as the order. */
export interface UniPCStep {
  /** The corrector has the output at `to` as well. */
  part: "predictor" | "corrector";
  to: LambdaLevel;
  from: readonly LambdaLevel[];
  /** Whether outputs are predicted originals; else they are predicted noise. */
  predictX0: boolean;
  /** Variant of B(h). */
  solverType: "bh1" | "bh2";
}

/** latents * x + output * m0 + step * (sum of rhos * (m_i - m0) / distances): m0 the latest output. */
export interface UniPCCoefficients {
  latents: number;
  output: number;
  step: number;
  /** One for each earlier output, then, in the corrector, one for the output at `to`, whose distance is 1. */
  rhos: readonly number[];
  /** From the latest level to each earlier one, in steps. */
  distances: readonly number[];
}

/** Computes in float64. The last step, to a sigma of 0, has an infinite length. */
export function unipcCoefficients({ part, to, from, predictX0, solverType }: UniPCStep): UniPCCoefficients {
  const [latest, ...earlier] = from as readonly [LambdaLevel, ...LambdaLevel[]];
  const h = to.lambda - latest.lambda;
  const hh = predictX0 ? -h : h;
  const phi = Math.expm1(hh);
  const b = solverType === "bh1" ? hh : phi;
  const distances = earlier.map(({ lambda }) => (lambda - latest.lambda) / h);
  const scale = predictX0 ? to.alpha : to.sigma;
  return {
    latents: predictX0 ? to.sigma / latest.sigma : to.alpha / latest.alpha,
    output: -scale * phi,
    step: -scale * b,
    rhos: solveRhos(part === "predictor" ? distances : [...distances, 1], { hh, phi, b }),
    distances,
  };
}

interface RhoTerms {
  hh: number;
  phi: number;
  b: number;
}

/** Matches the moments of the exponential integral, row i: sum of rhos * nodes^i. */
function solveRhos(nodes: readonly number[], { hh, phi, b }: RhoTerms): number[] {
  // A single node is weighted by half, in place of what the equations give.
  if (nodes.length === 1) return [0.5];
  const moments: number[] = [];
  let phiK = phi / hh - 1;
  let factorial = 1;
  for (let i = 0; i < nodes.length; i++) {
    moments.push(phiK * factorial / b);
    factorial *= i + 2;
    phiK = phiK / hh - 1 / factorial;
  }
  return solveLinear(moments.map((_, i) => nodes.map((node) => node ** i)), moments);
}
