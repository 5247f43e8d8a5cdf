// Creates the forecaster of a method.

import { CalibratedForecaster, type StepCorrelations } from "./forecasters/calibrated_forecaster.ts";
import type { Forecaster } from "./forecasters/forecaster.ts";
import { ReuseForecaster } from "./forecasters/reuse_forecaster.ts";
import type { Method } from "./options/methods.ts";
import type { OptionsOf } from "./options/option_table.ts";
import { SpectrumForecaster } from "./forecasters/spectrum_forecaster.ts";
import { TaylorSeerForecaster } from "./forecasters/taylorseer_forecaster.ts";

/** Facts about the run's features, for methods that need them. */
export interface CreateForecasterOptions {
  /** For method "calibrated": the calibration at the run's steps, from `stepCorrelations`. */
  calibration?: StepCorrelations | undefined;
  /** For method "calibrated": the run's full steps, if they are known before it. */
  fullSteps?: readonly number[] | undefined;
}

/**
 * Returns the forecaster of `options.method` for a run of `steps` steps. The one of
 * "none" refuses to forecast.
 *
 * A forecaster keeps no state, so it serves any number of runs and guidance branches.
 *
 * @throws {TypeError} If the method is unknown, or needs a calibration that is missing or of another length.
 */
export function createForecaster(
  options: { method: Method } & OptionsOf<"forecast">,
  steps: number,
  { calibration, fullSteps }: CreateForecasterOptions = {},
): Forecaster {
  switch (options.method) {
    case "calibrated":
      if (calibration?.norms.length === steps) return new CalibratedForecaster(calibration, { fullSteps });
      throw new TypeError(
        `Cannot forecast as 'method' calibrated needs a calibration of ${steps} steps, ` +
          `but has ${calibration ? `one of ${calibration.norms.length}` : "none"}`,
      );
    case "spectrum":
      return new SpectrumForecaster(steps, options);
    case "taylorseer":
      return new TaylorSeerForecaster(options.order);
    case "reuse":
      return new ReuseForecaster();
    case "none":
      return {
        weights(step) {
          throw new Error(`Cannot forecast step ${step} as 'method' is none`);
        },
      };
    default:
      throw new TypeError(`Cannot forecast as 'method' is unknown: ${options.method satisfies never}`);
  }
}
