// A checkpoint's calibration: products of its features, measured in runs of full passes only, and the
// step plans found from them.

/**
 * The coordinate of the recorded steps: sigma where it is at most 1 (flow matching, DDIM,
 * PNDM), else its logarithm.
 */
export type Coordinate = "sigma" | "logSigma";

/**
 * Scalar products of the normalised features, each float64 [points, points], row-major, averaged over runs.
 */
export interface BranchProducts {
  /** Products of the prompt's branch: E<h(s), h(t)>. */
  conditional: Float64Array;
  /** Products of the negative prompt's branch. Absent without classifier-free guidance, like `cross`. */
  unconditional?: Float64Array;
  /** Between the two branches, symmetrised: E(<h(s), u(t)> + <u(s), h(t)>) / 2. */
  cross?: Float64Array;
}

/** A step plan, and the PSNR that it reached on prompts which no part of the calibration has used. */
export interface MeasuredPlan {
  /** Ascending from 0. */
  fullSteps: readonly number[];
  /** Mean over the prompts, in dB, against all steps in full. */
  psnr: number;
}

/** Plans by number of steps, then by number of full passes. */
export type MeasuredPlans = Readonly<Record<number, Readonly<Record<number, MeasuredPlan>>>>;

/** A checkpoint's calibration. */
export interface Calibration {
  /** Coordinate of `grid`. */
  coordinate: Coordinate;
  /** Coordinates of the recorded steps, strictly descending: [points]. */
  grid: Float64Array;
  /** Root mean square of the features, as the head's normalisation divides by it: [points]. */
  norms: Float64Array;
  /** Scalar products on the grid. */
  products: BranchProducts;
  /**
   * Share of the guided output in the error that the weights minimise, 0..1. The rest is the error of the
   * features themselves. Validation chooses it.
   */
  guidedShare: number;
  /**
   * Share of the expected error of earlier gaps that each gap's forecasts take back, 0..1. Validation
   * chooses it.
   */
  feedback: number;
  /** Step plans with their measured quality. */
  plans: MeasuredPlans;
}
