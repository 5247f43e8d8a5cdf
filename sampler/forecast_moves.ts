// How the solver takes the forecasts between two full passes: one by one, or several as one weighted sum of their outputs.
import type { ForecastCall } from "./denoiser.ts";
import type { Solver } from "./solvers/solver.ts";

/** Consecutive forecast steps that are taken at once. */
export interface ForecastMove {
  /** How many they are. */
  steps: number;
  /**
   * Weights over all calls, [calls]. Of one step: 1 at its call, and the solver takes its output. Of several: the factors with
   * which the outputs are added to the latents.
   */
  weights: Float64Array;
}

/** What decides which steps go together. */
export interface ForecastMoveOptions {
  solver: Pick<Solver, "outputFactor">;
  /** Whether somebody wants to see the latents around step `index`. */
  latentsAt: (index: number) => boolean;
}

/** Splits `calls` into as few moves as the options allow. */
export function planForecastMoves(
  calls: readonly ForecastCall[],
  { solver, latentsAt }: ForecastMoveOptions,
): ForecastMove[] {
  const moves: ForecastMove[] = [];
  for (let at = 0; at < calls.length;) {
    const factors = summableFrom(at);
    const weights = new Float64Array(calls.length);
    if (factors.length > 1) weights.set(factors, at);
    else weights[at] = 1;
    const steps = Math.max(1, factors.length);
    moves.push({ steps, weights });
    at += steps;
  }
  return moves;

  function summableFrom(at: number): number[] {
    const factors: number[] = [];
    for (const { step } of calls.slice(at)) {
      const factor = latentsAt(step) ? undefined : solver.outputFactor?.(step);
      if (factor === undefined) break;
      factors.push(factor);
    }
    return factors;
  }
}
