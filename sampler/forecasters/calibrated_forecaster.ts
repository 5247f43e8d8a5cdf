// Calibrated forecasts: the best linear prediction from features whose scalar products are known from
// recorded runs. In statistics this is kriging with the empirical covariance; L2P (arXiv 2604.26365) learns
// the same weights by descent.

import { choleskySolver } from "../numerics/cholesky.ts";
import { assertAnchors } from "./assert_anchors.ts";
import type { Forecaster } from "./forecaster.ts";

/** A calibration's expectations of the features of one run's steps. */
export interface StepCorrelations {
  /** E<h(s), h(t)> / (|h(s)| |h(t)|): float64 [steps, steps], row-major, symmetric, with a unit diagonal. */
  correlations: Float64Array;
  /** |h(t)|, [steps]. */
  norms: Float64Array;
}

/**
 * Penalty on weights that differ from "repeat the last feature". It is far below what any forecast can gain.
 */
export const CALIBRATION_RIDGE = 1e-6;

/** The part that all weights over the same anchors share. */
interface Fit {
  anchors: readonly number[];
  solve: (b: Float64Array) => Float64Array;
}

/**
 * The weights a minimise E||h(t) - sum_i a_i h(s_i)||^2 / |h(t)|^2 plus a ridge, whose prior is the last
 * feature: with unit features, (C_AA + ridge I) b = C_At + ridge e_last, and a_i = b_i |h(t)| / |h(s_i)|.
 */
export class CalibratedForecaster implements Forecaster {
  readonly #steps: number;
  readonly #calibration: StepCorrelations;
  /** The newest fit. The steps of a gap share it. */
  #fit: Fit | undefined;

  /** Forecasts with the correlations of one run's steps. */
  constructor(calibration: StepCorrelations) {
    this.#calibration = calibration;
    this.#steps = calibration.norms.length;
  }

  weights(step: number, anchors: readonly number[]): Float64Array {
    assertAnchors(anchors);
    const { correlations, norms } = this.#calibration;
    const target = Float64Array.from(anchors, (anchor) => correlations[step * this.#steps + anchor]!);
    target[target.length - 1]! += CALIBRATION_RIDGE;
    const weights = this.#solver(anchors)(target);
    for (const [i, anchor] of anchors.entries()) weights[i]! *= norms[step]! / norms[anchor]!;
    return weights;
  }

  /**
   * Returns the relative error that the forecast of `step` has on average: ||forecast -
   * feature|| / ||feature||.
   */
  predictedError(step: number, anchors: readonly number[]): number {
    const { correlations, norms } = this.#calibration;
    const unit = this.weights(step, anchors).map((weight, i) => weight * norms[anchors[i]!]! / norms[step]!);
    // 1 - 2 b'c + b'C b
    let squared = 1;
    for (const [i, a] of anchors.entries()) {
      let product = -2 * correlations[step * this.#steps + a]!;
      for (const [j, b] of anchors.entries()) product += unit[j]! * correlations[a * this.#steps + b]!;
      squared += unit[i]! * product;
    }
    // Rounding may leave a perfect forecast below zero.
    return Math.sqrt(Math.max(0, squared));
  }

  #solver(anchors: readonly number[]): Fit["solve"] {
    const last = this.#fit;
    const same = last?.anchors.length === anchors.length &&
      anchors.every((step, i) => step === last.anchors[i]);
    if (same) return last.solve;
    const count = anchors.length;
    const matrix = new Float64Array(count ** 2);
    for (const [i, a] of anchors.entries()) {
      for (const [j, b] of anchors.entries()) {
        matrix[i * count + j] = this.#calibration.correlations[a * this.#steps + b]!;
      }
      matrix[i * count + i]! += CALIBRATION_RIDGE;
    }
    const solve = choleskySolver(matrix);
    this.#fit = { anchors: [...anchors], solve };
    return solve;
  }
}
