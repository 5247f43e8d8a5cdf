// Spectrum (arXiv 2603.01623): a ridge fit of Chebyshev polynomials over all full passes so far,
// blended with linear extrapolation of the last two.

import { assertAnchors } from "./assert_anchors.ts";
import { chebyshev } from "./chebyshev.ts";
import { choleskySolver } from "../numerics/cholesky.ts";
import type { Forecaster } from "./forecaster.ts";
import type { OptionsOf } from "../options/option_table.ts";
import { TaylorSeerForecaster } from "./taylorseer_forecaster.ts";

/** The options that decide the fit. */
export type SpectrumForecasterOptions =
  & Pick<OptionsOf<"forecast">, "w" | "m" | "lam">
  & Partial<Pick<OptionsOf<"forecast">, "constantPenalty" | "lamGrowth">>;

/** The part of the fit that all weights over the same anchors share. */
interface Fit {
  anchors: readonly number[];
  /** Rows of the design matrix X. */
  design: readonly Float64Array[];
  /** Solves for z, given phi. */
  solve: (basis: Float64Array) => Float64Array;
}

/**
 * weights = w phi(t) (X^T X + lam I)^-1 X^T + (1 - w) linear, with the design matrix X [anchors, m + 1] and
 * the basis phi(t) taken at tau = 2 t / steps - 1.
 *
 * lam I is the paper's penalty. `constantPenalty` scales its first entry, the one of T_0. `lamGrowth` lets
 * lam grow with the number of anchors.
 *
 * The reference fixes `steps` at 50 in tau, and rounds tau, the basis and the coefficients to
 * bfloat16; this is float64.
 */
export class SpectrumForecaster implements Forecaster {
  readonly #steps: number;
  readonly #options: SpectrumForecasterOptions;
  readonly #linear = new TaylorSeerForecaster(1);
  /** Basis values by step. Every gap needs the values of all anchors again. */
  readonly #rows: Float64Array[] = [];
  /** The newest fit. The steps of a gap share it. */
  #fit: Fit | undefined;

  constructor(steps: number, options: SpectrumForecasterOptions) {
    this.#steps = steps;
    this.#options = options;
  }

  weights(step: number, anchors: readonly number[]): Float64Array {
    assertAnchors(anchors);
    const { w } = this.#options;
    const { design, solve } = this.#fitOf(anchors);
    // One z with (X^T X + lam I) z = phi replaces coefficients for every element: the weights are X z.
    const z = solve(this.#basis(step));
    const weights = this.#linear.weights(step, anchors);
    for (let i = 0; i < weights.length; i++) {
      const row = design[i]!;
      let fit = 0;
      for (let j = 0; j < z.length; j++) fit += row[j]! * z[j]!;
      weights[i] = w * fit + (1 - w) * weights[i]!;
    }
    return weights;
  }

  #fitOf(anchors: readonly number[]): Fit {
    const last = this.#fit;
    if (
      last && last.anchors.length === anchors.length && anchors.every((step, i) => step === last.anchors[i])
    ) {
      return last;
    }
    const design = anchors.map((anchor) => this.#basis(anchor));
    const solve = choleskySolver(gram(design, this.#penalty(anchors.length)));
    return this.#fit = { anchors: [...anchors], design, solve };
  }

  /** Returns the diagonal to add to X^T X, [m + 1]. */
  #penalty(anchors: number): Float64Array {
    const { m, lam, constantPenalty = 1, lamGrowth = 0 } = this.#options;
    const penalty = new Float64Array(m + 1).fill(lam * anchors ** lamGrowth);
    penalty[0]! *= constantPenalty;
    return penalty;
  }

  #basis(step: number): Float64Array {
    return this.#rows[step] ??= chebyshev(2 * step / this.#steps - 1, this.#options.m);
  }
}

/** Returns the lower triangle of X^T X + diag(penalty), [columns, columns], from the rows of X. */
function gram(rows: readonly Float64Array[], penalty: Float64Array): Float64Array {
  const columns = rows[0]!.length;
  const product = new Float64Array(columns ** 2);
  for (let i = 0; i < columns; i++) product[i * columns + i] = penalty[i]!;
  for (const row of rows) {
    for (let i = 0; i < columns; i++) {
      for (let j = 0; j <= i; j++) product[i * columns + j]! += row[i]! * row[j]!;
    }
  }
  return product;
}
