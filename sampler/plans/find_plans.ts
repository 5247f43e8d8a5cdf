// Plans from recorded features instead of a growing window: which full passes leave the least forecast error, found by
// dynamic programming over the Gram matrix of the features of runs whose every step was full.

import { assertNumber } from "../numerics/assert_number.ts";
import type { Forecaster } from "../forecasters/forecaster.ts";

/** What plans are found from. */
export interface FindPlansOptions {
  /**
   * Scalar products of the features, float64 [steps, steps], row-major, averaged over as many runs as there are: all
   * that a search needs to know of them.
   */
  gram: Float64Array;
  /** How far the solver moves by each step's output, e.g. |sigma[t + 1] - sigma[t]|: [steps]. */
  weights: ArrayLike<number>;
  /** Made for so many steps. */
  forecaster: Forecaster;
  /**
   * Number of the latest full passes that tell two partial plans apart. With the forecaster's own memory the plans are the
   * best there are. For a forecaster that reads all full passes, they are the best among those that the search keeps.
   * @default the forecaster's, else 2
   */
  memory?: number;
  /** Most full passes of a plan. */
  maxPasses: number;
}

/** A plan, and what it costs. */
export interface FoundPlan {
  /** Indices of the full passes, ascending from 0. */
  fullSteps: readonly number[];
  /** Sum over the gaps of || sum over a gap's steps of weight (forecast - feature) / ||feature|| ||^2. */
  cost: number;
}

/**
 * The best plan for each number of full passes from 1 to `maxPasses`.
 *
 * Errors of one gap add up, as they point the same way; those of different gaps are taken as unrelated, since the full pass
 * between them sees what the first has done.
 *
 * @throws {RangeError} If `gram` or `weights` do not fit, or a number is outside its range.
 */
export function findPlans(options: FindPlansOptions): FoundPlan[] {
  const { maxPasses, forecaster, memory = forecaster.memory ?? 2 } = options;
  const steps = assertOptions(options);
  const gaps = new GapCosts(options, steps);
  // Partial plans of the same number of passes, the best one for each choice of the latest passes.
  let partial = new Map<string, FoundPlan>([["0", { fullSteps: [0], cost: 0 }]]);
  const plans: FoundPlan[] = [];
  for (let passes = 1; passes <= maxPasses; passes++) {
    const next = new Map<string, FoundPlan>();
    let best: FoundPlan | undefined;
    for (const { fullSteps, cost } of partial.values()) {
      const costs = gaps.after(fullSteps);
      const last = fullSteps.at(-1)!;
      const whole = cost + costs[steps - last - 1]!;
      if (best === undefined || whole < best.cost) best = { fullSteps, cost: whole };
      for (let step = last + 1; step < steps; step++) {
        const extended = { fullSteps: [...fullSteps, step], cost: cost + costs[step - last - 1]! };
        const key = extended.fullSteps.slice(-memory).join();
        if (extended.cost < (next.get(key)?.cost ?? Infinity)) next.set(key, extended);
      }
    }
    if (best !== undefined) plans.push(best);
    partial = next;
  }
  return plans;
}

/** What forecasting from a plan's last full pass on costs. */
class GapCosts {
  readonly #options: FindPlansOptions;
  readonly #steps: number;

  constructor(options: FindPlansOptions, steps: number) {
    this.#options = options;
    this.#steps = steps;
  }

  /** Entry i: of i forecasts right after the last of `anchors`. */
  after(anchors: readonly number[]): Float64Array {
    const { gram, weights, forecaster } = this.#options;
    const steps = this.#steps;
    const last = anchors.at(-1)!;
    const costs = new Float64Array(steps - last);
    // The Gram matrix times the error of the gap so far, which is a combination of features.
    const product = new Float64Array(steps);
    let squared = 0;
    for (let step = last + 1; step < steps; step++) {
      const scale = weights[step]! / Math.sqrt(gram[step * steps + step]!);
      const terms: [at: number, factor: number][] = [[step, -scale]];
      for (const [i, weight] of forecaster.weights(step, anchors).entries()) {
        if (weight !== 0) terms.push([anchors[i]!, weight * scale]);
      }
      for (const [at, factor] of terms) {
        // (e + f u)' G (e + f u) = e'Ge + 2 f (Ge)_u + f^2 G_uu
        squared += 2 * factor * product[at]! + factor ** 2 * gram[at * steps + at]!;
        for (let k = 0; k < steps; k++) product[k]! += factor * gram[at * steps + k]!;
      }
      // Rounding may leave a perfect forecast below zero.
      costs[step - last] = Math.max(0, squared);
    }
    return costs;
  }
}

function assertOptions({ gram, weights, maxPasses, memory = 2 }: FindPlansOptions): number {
  const steps = weights.length;
  assertNumber(maxPasses, { action, name: "maxPasses", integer: true, min: 1, max: steps });
  assertNumber(memory, { action, name: "memory", integer: true, min: 1 });
  if (gram.length !== steps ** 2) {
    throw new RangeError(
      `Cannot find plans as 'gram' must have ${
        steps ** 2
      } numbers for ${steps} weights: it has ${gram.length}`,
    );
  }
  return steps;
}

const action = "find plans";
