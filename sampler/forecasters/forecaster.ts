// A forecast is a weighted sum of the features of earlier full passes. The weights depend on step indices
// alone, so a forecaster returns weights, and the sum runs next to the features, on their device.

/** Forecasts the last-block feature of a step from those of earlier full passes. */
export interface Forecaster {
  /** Number of latest anchors that the weights depend on. Absent if they depend on all anchors. */
  readonly memory?: number;

  /**
   * Returns the weights that forecast the feature at `step`: h(step) = sum_i weights[i] h(anchors[i]).
   *
   * @param step Index of the step to forecast.
   * @param anchors Indices of the full passes so far, ascending, at least one.
   * @returns float64 [anchors.length], owned by the caller.
   * @throws {RangeError} If there are no anchors.
   */
  weights(step: number, anchors: readonly number[]): Float64Array;
}
