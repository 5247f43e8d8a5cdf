// TaylorSeer (arXiv 2503.06923): a Taylor expansion around the last full pass, with derivatives
// from finite differences.

import { assertAnchors } from "./assert_anchors.ts";
import type { Forecaster } from "./forecaster.ts";

/**
 * h(t) = h_k + x d1 + x^2/2 d2 with x = t - t_k and d1 = (h_k - h_{k-1}) / (t_k - t_{k-1}). d2 is the
 * difference of the last two d1 over the same last distance, as in the reference where distances change.
 *
 * With fewer full passes than order + 1 the order is lower. The reference takes its first difference at the
 * third pass, so at order 2 its steps before the fourth pass are of order 1. Here they are of order 2.
 */
export class TaylorSeerForecaster implements Forecaster {
  readonly memory: number;
  readonly #order: number;

  /** @param order 1 or 2 */
  constructor(order: number) {
    this.#order = order;
    this.memory = order + 1;
  }

  weights(step: number, anchors: readonly number[]): Float64Array {
    assertAnchors(anchors);
    const last = anchors.length - 1;
    const weights = new Float64Array(anchors.length);
    weights[last] = 1;
    if (last === 0) return weights;

    const x = step - anchors[last]!;
    const distance = anchors[last]! - anchors[last - 1]!;
    addDifference(weights, last, x / distance);
    if (this.#order === 2 && last >= 2) {
      const previousDistance = anchors[last - 1]! - anchors[last - 2]!;
      const half = x ** 2 / 2 / distance;
      addDifference(weights, last, half / distance);
      addDifference(weights, last - 1, -half / previousDistance);
    }
    return weights;
  }
}

/** Adds factor (h_i - h_{i-1}). */
function addDifference(weights: Float64Array, i: number, factor: number): void {
  weights[i]! += factor;
  weights[i - 1]! -= factor;
}
