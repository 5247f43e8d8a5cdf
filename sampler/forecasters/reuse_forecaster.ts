// The simplest forecast, as in DeepCache and FORA: it repeats the feature of the last full pass.

import { assertAnchors } from "./assert_anchors.ts";
import type { Forecaster } from "./forecaster.ts";

/** Repeats the last full pass. */
export class ReuseForecaster implements Forecaster {
  readonly memory = 1;

  weights(_step: number, anchors: readonly number[]): Float64Array {
    assertAnchors(anchors);
    const weights = new Float64Array(anchors.length);
    weights[anchors.length - 1] = 1;
    return weights;
  }
}
