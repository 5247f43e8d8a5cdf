// Finds step plans from recorded features. Dynamic programming over the features' Gram matrix chooses the
// full passes that leave the least forecast error. The features come from runs with full passes only.

import { assertNumber } from "../numerics/assert_number.ts";
import type { Forecaster } from "../forecasters/forecaster.ts";

/** Options of {@linkcode findPlans}. */
export interface FindPlansOptions {
  /**
   * Scalar products of the features, float64 [steps, steps], row-major, averaged over the runs. The search
   * needs nothing else of the features.
   */
  gram: Float64Array;
  /** Distance that the solver moves at each step, e.g. |sigma[t + 1] - sigma[t]|: [steps]. */
  weights: ArrayLike<number>;
  /** Forecaster for this number of steps. */
  forecaster: Forecaster;
  /**
   * Number of the latest full passes that tell two partial plans apart. With the forecaster's own memory
   * the plans are the best there are. For a forecaster that reads all full passes, they are the best among
   * those that the search keeps.
   * @default the forecaster's, else 2
   */
  memory?: number;
  /** Largest number of full passes of a plan. */
  maxPasses: number;
}

/** A step plan and its cost. */
export interface FoundPlan {
  /** Indices of the full passes, ascending from 0. */
  fullSteps: readonly number[];
  /** Sum over the gaps of || sum over a gap's steps of weight (forecast - feature) / ||feature|| ||^2. */
  cost: number;
}

/**
 * Returns the best plan for each number of full passes from 1 to `maxPasses`.
 *
 * The errors of one gap are added before they are squared, because they point the same way. Different gaps
 * count as unrelated, because the full pass between them sees the effect of the first.
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

/** Returns the cost of a plan, as `findPlans` counts it. */
export function planCost(
  fullSteps: readonly number[],
  options: Omit<FindPlansOptions, "maxPasses" | "memory">,
): number {
  const steps = assertOptions({ ...options, maxPasses: 1 });
  const gaps = new GapCosts(options, steps);
  return fullSteps.reduce((sum, step, i) => {
    const forecasts = (fullSteps[i + 1] ?? steps) - step - 1;
    return sum + gaps.after(fullSteps.slice(0, i + 1))[forecasts]!;
  }, 0);
}

type GapOptions = Pick<FindPlansOptions, "gram" | "weights" | "forecaster">;

/** Costs of the gap after a plan's last full pass. */
class GapCosts {
  readonly #options: GapOptions;
  readonly #steps: number;

  constructor(options: GapOptions, steps: number) {
    this.#options = options;
    this.#steps = steps;
  }

  /** Returns the costs of gaps after the last of `anchors`; entry i is the cost of i forecasts. */
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
