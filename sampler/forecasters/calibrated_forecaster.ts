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
  /** Noise levels at the begin of each step and at the end of the run, [steps + 1]. */
  sigmas: Float64Array;
  /** See {@linkcode Calibration.feedback}. */
  feedback: number;
  /**
   * Scale of guidance, at least 1. A full pass sees how far the latents are off and pulls them back; the
   * forecasts after it prolong the pull. At the end of the gap the share (sigma(end) / sigma(start)) **
   * guidance of the error is left.
   */
  guidance: number;
}

/** Facts of a run that calibrated forecasts depend on. */
export interface CalibratedForecasterOptions {
  /** The run's full steps, ascending from 0. Without them a forecast takes no earlier error back. */
  fullSteps?: readonly number[] | undefined;
}

/**
 * Penalty on weights that differ from "repeat the last feature". It is far below what any forecast can gain.
 */
const CALIBRATION_RIDGE = 1e-6;

/** The part that all weights over the same anchors share. */
interface Fit {
  anchors: readonly number[];
  solve: (b: Float64Array) => Float64Array;
}

/**
 * The weights a minimise E||h(t) - sum_i a_i h(s_i)||^2 / |h(t)|^2 plus a ridge, whose prior is the last
 * feature: with unit features, (C_AA + ridge I) b = C_At + ridge e_last, and a_i = b_i |h(t)| / |h(s_i)|.
 *
 * Each full pass shows how far the forecasts before it were off. The forecasts after it take that back: the
 * expected error of the latents, given the features so far, is spread over the gap with the opposite sign.
 */
export class CalibratedForecaster implements Forecaster {
  readonly #steps: number;
  readonly #calibration: StepCorrelations;
  readonly #fullSteps: readonly number[];
  /** The newest fit. The steps of a gap share it. */
  #fit: Fit | undefined;
  /** Terms that each gap adds to the weights of unit features. */
  #corrections: readonly Float64Array[] | undefined;

  /** Forecasts with the correlations of one run's steps. */
  constructor(calibration: StepCorrelations, { fullSteps = [] }: CalibratedForecasterOptions = {}) {
    this.#calibration = calibration;
    this.#steps = calibration.norms.length;
    this.#fullSteps = fullSteps;
  }

  weights(step: number, anchors: readonly number[]): Float64Array {
    assertAnchors(anchors);
    const { norms } = this.#calibration;
    const weights = this.#best(step, anchors);
    const correction = this.#correction(step, anchors);
    for (const [i, anchor] of anchors.entries()) {
      weights[i] = (weights[i]! + (correction?.[i] ?? 0)) * norms[step]! / norms[anchor]!;
    }
    return weights;
  }

  /**
   * Returns the relative error that the forecast of `step` has on average, ||forecast - feature|| /
   * ||feature||, if it takes no earlier error back.
   */
  predictedError(step: number, anchors: readonly number[]): number {
    const { correlations } = this.#calibration;
    const unit = this.#best(step, anchors);
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

  /** Returns the weights of unit features that are best for this step alone. */
  #best(step: number, anchors: readonly number[]): Float64Array {
    const { correlations } = this.#calibration;
    const target = Float64Array.from(anchors, (anchor) => correlations[step * this.#steps + anchor]!);
    target[target.length - 1]! += CALIBRATION_RIDGE;
    return this.#solver(anchors)(target);
  }

  /**
   * Returns the terms that the gap of `step` adds to the weights. Undefined for a full step, and where
   * the run has another plan.
   */
  #correction(step: number, anchors: readonly number[]): Float64Array | undefined {
    const plan = this.#fullSteps;
    const isPlanned = this.#calibration.feedback > 0 && !plan.includes(step) &&
      anchors.every((anchor, i) => anchor === plan[i]) && !(plan[anchors.length]! < step);
    if (!isPlanned) return undefined;
    this.#corrections ??= this.#plan();
    return this.#corrections[anchors.length - 1];
  }

  /**
   * Walks the plan with expectations alone. The error of the latents is a combination of all steps' features.
   */
  #plan(): Float64Array[] {
    const { sigmas, feedback, guidance } = this.#calibration;
    const plan = this.#fullSteps;
    const error = new Float64Array(this.#steps);
    return plan.map((start, gap) => {
      const anchors = plan.slice(0, gap + 1);
      const end = plan[gap + 1] ?? this.#steps;
      const left = sigmas[start]! > 0 ? (sigmas[end]! / sigmas[start]!) ** guidance : 0;
      for (let i = 0; i < error.length; i++) error[i]! *= left;
      const correction = new Float64Array(anchors.length);
      const distance = sigmas[start + 1]! - sigmas[end]!;
      if (gap > 0 && distance > 0) {
        const expected = this.#expected(error, anchors);
        for (const [i, value] of expected.entries()) correction[i] = -feedback * value / distance;
      }
      for (let step = start + 1; step < end; step++) {
        const stride = sigmas[step]! - sigmas[step + 1]!;
        const best = this.#best(step, anchors);
        for (const [i, anchor] of anchors.entries()) error[anchor]! += stride * (best[i]! + correction[i]!);
        error[step]! -= stride;
      }
      return correction;
    });
  }

  /** Returns what is expected of a combination of features, as one of the anchors' features. */
  #expected(combination: Float64Array, anchors: readonly number[]): Float64Array {
    const { correlations } = this.#calibration;
    const products = Float64Array.from(anchors, (anchor) => {
      let sum = 0;
      for (const [step, factor] of combination.entries()) {
        sum += factor * correlations[anchor * this.#steps + step]!;
      }
      return sum;
    });
    return this.#solver(anchors)(products);
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
