// Creates the forecaster of a method.

import type { Forecaster } from "./forecasters/forecaster.ts";
import { ReuseForecaster } from "./forecasters/reuse_forecaster.ts";
import type { Method } from "./options/methods.ts";
import type { OptionsOf } from "./options/option_table.ts";
import { SpectrumForecaster } from "./forecasters/spectrum_forecaster.ts";
import { TaylorSeerForecaster } from "./forecasters/taylorseer_forecaster.ts";

/**
 * Returns the forecaster of `options.method` for a run of `steps` steps. The one of "none" refuses to forecast.
 *
 * A forecaster keeps no state, so it serves any number of runs and guidance branches.
 */
export function createForecaster(
  options: { method: Method } & OptionsOf<"forecast">,
  steps: number,
): Forecaster {
  switch (options.method) {
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
