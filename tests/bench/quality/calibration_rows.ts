// The rows of the calibration tables: each method at each number of full passes.
import {
  createForecaster,
  findPlans,
  type Method,
  SAMPLER_DEFAULTS,
  type SamplerOptions,
  type StepCorrelations,
} from "../../../sampler/mod.ts";
import { methodWindow } from "../../../gpu-worker/cli/calibrate/method_window.ts";
import type { ModelCalibration } from "../../../gpu-worker/request/model_calibration.ts";

/** One cell of a table. */
export interface CalibrationCell {
  row: string;
  passes: number;
  /** Steps to draw with. */
  steps: number;
  sampler: Partial<SamplerOptions>;
  /** Whether the second-order solver draws it. */
  secondOrder?: boolean;
}

export interface CalibrationRowsOptions {
  steps: number;
  passes: readonly number[];
  calibration: ModelCalibration;
  /** The calibration at these steps. */
  correlations: StepCorrelations;
  sigmas: Float64Array;
  /** Whether the checkpoint has a second-order solver besides its own. */
  secondOrder: boolean;
}

/** Returns all cells. A number of passes that a method's window cannot give is left out. */
export function calibrationCells(options: CalibrationRowsOptions): CalibrationCell[] {
  const { steps, passes, calibration, secondOrder } = options;
  const planned = {
    taylorseer: methodPlans({ method: "taylorseer", order: 2 }, options),
    spectrum: methodPlans({ method: "spectrum" }, options),
  };
  return passes.flatMap((count) => {
    const at = (row: string, sampler: Partial<SamplerOptions> | undefined): CalibrationCell[] =>
      sampler === undefined ? [] : [{ row, passes: count, steps, sampler }];
    const found = calibration.plans[steps]?.[count]?.fullSteps;
    const fewer = { passes: count, steps: count, sampler: { method: "none" as const } };
    return [
      { row: "fewer steps", ...fewer },
      ...secondOrder ? [{ row: "fewer steps, UniPC", ...fewer, secondOrder }] : [],
      ...at("reuse", methodWindow({ method: "reuse" }, { passes: count, steps })),
      ...at(
        "TaylorSeer, order 2",
        methodWindow({ method: "taylorseer", order: 2 }, { passes: count, steps }),
      ),
      ...at("Spectrum", methodWindow({ method: "spectrum" }, { passes: count, steps })),
      ...at("TaylorSeer, order 2, planned", {
        method: "taylorseer",
        order: 2,
        fullSteps: planned.taylorseer[count]!,
      }),
      ...at("Spectrum, planned", { method: "spectrum", fullSteps: planned.spectrum[count]! }),
      ...at("calibrated, Spectrum's plan", { method: "calibrated", fullSteps: planned.spectrum[count]! }),
      ...at("calibrated", found && { method: "calibrated", fullSteps: found }),
    ];
  });
}

/** Returns the plans that dynamic programming finds for a method, by number of full passes. */
function methodPlans(
  sampler: Partial<SamplerOptions> & { method: Method },
  { steps, passes, correlations: { correlations, norms }, sigmas }: CalibrationRowsOptions,
): Record<number, readonly number[]> {
  const forecaster = createForecaster({ ...SAMPLER_DEFAULTS[sampler.method], ...sampler }, steps);
  const plans = findPlans({
    gram: correlations.map((value, k) => value * norms[Math.floor(k / steps)]! * norms[k % steps]!),
    weights: sigmas.map((sigma, i) => Math.abs(sigma - (sigmas[i + 1] ?? 0))),
    forecaster,
    maxPasses: Math.max(...passes),
  });
  return Object.fromEntries(passes.map((count) => [count, plans[count - 1]!.fullSteps]));
}
