// The forecaster of one run. A calibrated run needs its checkpoint's calibration at
// its own steps and guidance.
import {
  CalibratedForecaster,
  createForecaster,
  type Forecaster,
  measuredPsnr,
  type Phases,
  planSteps,
  type ResolvedSamplerOptions,
  resolveSamplerOptions,
  showValue,
  type Solver,
  stepCorrelations,
} from "../../sampler/mod.ts";
import type { ModelCalibration } from "../request/model_calibration.ts";

export interface RunForecasterOptions {
  solver: Pick<Solver, "timesteps" | "sigmas" | "addsNoise">;
  calibration: ModelCalibration | undefined;
  /** Scale of classifier-free guidance; 1 without it. */
  guidance: number;
  /** First steps of the networks that take turns. @default one network takes all steps */
  phases?: Phases | undefined;
  /** Whether the run's scheduler is not the checkpoint's: no PSNR was measured for it. @default false */
  otherScheduler?: boolean;
}

/** A calibration's report of a run. */
export interface CalibrationReport {
  /** SHA-256 of the calibration's file. */
  digest: string;
  /** Why the run used the published window instead. */
  fallback?: string;
  /** PSNR in dB that this plan reached on the calibration's validation prompts. */
  psnr?: number;
  /**
   * Step index -> relative forecast error that the calibration predicts there. Empty
   * if the solver adds noise.
   */
  predictedErrors: ReadonlyMap<number, number>;
}

export interface RunForecaster {
  /** The options that the run uses: the request's, or the published window. */
  sampler: ResolvedSamplerOptions;
  forecaster: Forecaster;
  /** Tells what the calibration predicted. Undefined for other methods. */
  report?: (measured: { fullSteps: readonly number[]; steps: Iterable<number> }) => CalibrationReport;
}

/**
 * Creates the forecaster of a run. Where the calibration does not reach, it is Spectrum's
 * with the published window.
 */
export function runForecaster(
  sampler: ResolvedSamplerOptions,
  run: RunForecasterOptions,
): RunForecaster {
  const { solver, calibration, guidance, otherScheduler = false } = run;
  const steps = solver.timesteps.length;
  if (sampler.method !== "calibrated") return { sampler, forecaster: createForecaster(sampler, steps) };
  if (calibration === undefined) {
    throw new TypeError("Cannot run method calibrated as the model has no calibration");
  }
  const { digest, plans, source } = calibration;
  const unfit = whyUnfit(run);
  // More guidance pulls displaced latents back harder than the recording tells. Taking errors back then
  // overshoots.
  const feedback = guidance > source.guidance ? 0 : calibration.feedback;
  const correlations = unfit === undefined
    ? stepCorrelations({ ...calibration, feedback }, { solver, guidance })
    : undefined;
  if (correlations === undefined) {
    const published = resolveSamplerOptions({ method: "spectrum" }, steps);
    const fallback = unfit ??
      `the run's noise levels leave the range that ${showValue(source.scheduler)} recorded ` +
        `in ${source.steps} steps`;
    return {
      sampler: published,
      forecaster: createForecaster(published, steps),
      report: () => ({ digest, fallback, predictedErrors: new Map() }),
    };
  }
  const forecaster = new CalibratedForecaster(correlations, { fullSteps: fullStepsOf(sampler, steps) });
  return {
    sampler,
    forecaster,
    report: ({ fullSteps, steps: measured }) => {
      const psnr = guidance === source.guidance && !otherScheduler
        ? measuredPsnr(plans, { fullSteps, steps })
        : undefined;
      return {
        digest,
        ...psnr !== undefined && { psnr },
        predictedErrors: new Map(
          // Errors of a solver that adds noise are up to three times those that the products predict.
          (solver.addsNoise ? [] : [...measured]).map((step) => [
            step,
            forecaster.predictedError(step, fullSteps.filter((full) => full < step)),
          ]),
        ),
      };
    },
  };
}

/** Returns the full steps of a run. Undefined under an error budget, which chooses them as the run goes. */
function fullStepsOf(sampler: ResolvedSamplerOptions, steps: number): number[] | undefined {
  if (sampler.fullPasses.by === "errorBudget") return undefined;
  return planSteps(steps, sampler).flatMap((kind, step) => kind === "full" ? [step] : []);
}

/** Returns why no calibration can serve a run. Undefined if one can. */
export function whyUnfit({ phases = [0] }: Pick<RunForecasterOptions, "phases">): string | undefined {
  return phases.length > 1
    ? "the run changes from one network to another, and a calibration is of one"
    : undefined;
}
