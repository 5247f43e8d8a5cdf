// What a forecast is here: a weighted sum of the features of earlier full passes, with weights that depend on step
// indices alone. So a forecaster yields weights, and the sum runs next to the features, on their device.

/** Forecasts the last-block feature of a step from those of earlier full passes. */
export interface Forecaster {
  /** Number of the latest anchors that the weights depend on, where that is a fixed number. */
  readonly memory?: number;

  /**
   * Weights of the features that give the feature at `step`: h(step) = sum_i weights[i] h(anchors[i]).
   *
   * @param step Index of the step to forecast.
   * @param anchors Indices of the full passes so far, ascending, at least one.
   * @returns float64 [anchors.length], owned by the caller.
   * @throws {RangeError} If there are no anchors.
   */
  weights(step: number, anchors: readonly number[]): Float64Array;
}
