// Decides how the solver takes the forecasts of a gap: one by one, or several as one
// weighted sum of their outputs.
import type { ForecastCall } from "./denoiser.ts";
import type { Solver } from "./solvers/solver.ts";

/** Consecutive forecasts that the solver takes at once. */
export interface ForecastMove {
  /** Number of these forecasts. */
  steps: number;
  /**
   * Weights over all calls, [calls]. For one step: 1 at its call, and the solver takes its output. For
   * several steps: the factors with which their outputs are added to the latents.
   */
  weights: Float64Array;
}

/** Options that decide which steps go together. */
export interface ForecastMoveOptions {
  solver: Pick<Solver, "outputFactor">;
  /** Whether a caller wants the latents of step `index`. */
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
