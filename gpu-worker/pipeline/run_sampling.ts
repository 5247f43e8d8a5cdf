// Takes every family's run from encoded prompts to final
// latents: step plan, denoiser, solver, events, previews.
import type { DecodedImage } from "../media/decoded_image.ts";
import {
  createForecaster,
  denoise,
  ErrorWindow,
  historySlots,
  ONE_PHASE,
  phasedForecaster,
  phasedWindow,
  planSteps,
  type ResolvedSamplerOptions,
  type Solver,
  type StepEvent,
  type StepKind,
} from "../../sampler/mod.ts";
import { finiteDenoiser } from "../denoiser/finite_denoiser.ts";
import { assertFinite, type ValueSource } from "../runtime/mod.ts";
import { recordingDenoiser } from "../denoiser/recording_denoiser.ts";
import type { MakeDenoiser, RunDenoiser } from "../denoiser/run_denoiser.ts";
import type { GenerateOptions, StepFeature, StepProgress } from "./pipeline.ts";
import type { GenerateRequest } from "../request/generate_request.ts";
import { type CalibrationReport, runForecaster, type RunForecasterOptions } from "./run_forecaster.ts";

export interface SamplingRun extends Omit<RunForecasterOptions, "solver"> {
  request: GenerateRequest;
  /** The caller's signal and callbacks. */
  options: GenerateOptions;
  solver: Solver;
  /** Initial latents; not changed. */
  initial: Float32Array;
  /** Creates the denoiser. It is disposed of when sampling ends or fails. */
  denoiser: MakeDenoiser;
  /** The part of a recorded feature that is the same at all steps. */
  feature: Omit<StepFeature, "index" | "solver" | "data">;
  /** The denoiser's network, for errors. */
  network: ValueSource;
  /** Decodes a small picture from an estimate of the final latents. */
  preview: (latents: Float32Array) => Promise<DecodedImage>;
}

export interface SamplingResult {
  /** The steps as they were run. */
  plan: StepKind[];
  /** Step index -> relative forecast error measured at that step. */
  forecastErrors: Map<number, number>;
  latents: Float32Array<ArrayBuffer>;
  /** The options that the run used. */
  sampler: ResolvedSamplerOptions;
  calibration?: CalibrationReport;
}

/**
 * Runs all steps of `run` and returns its final latents.
 * @throws {NotFiniteError} at the first pass, forecast or preview that is not finite.
 * @throws the signal's reason, once it is aborted. The run's memory is freed by then.
 */
export async function runSampling(run: SamplingRun): Promise<SamplingResult> {
  const { request, options, solver, initial, preview } = run;
  const { signal, onStep, onPreview, previewSteps, onFeature } = options;
  // PNDM calls the network more often than `request.steps`.
  const steps = solver.timesteps.length;
  const { sampler, forecaster, report } = runForecaster(request.sampler, {
    ...run,
    otherScheduler: request.scheduler !== undefined,
  });
  const { fullPasses } = sampler;
  const { phases = ONE_PHASE } = run;
  const phased = { steps, phases };
  const planned = planSteps(steps, { ...sampler, phases });
  // A recorded run needs one slot: each feature is read before the next pass overwrites it.
  const slots = onFeature ? 1 : historySlots(planned, { ...sampler, phases });
  using denoiser = openDenoiser(run, slots);
  const looks = onPreview && previewSteps || new Set<number>();
  const { latents, plan, fullSteps, forecastErrors } = await denoise(denoiser, {
    plan: planned,
    historySlots: slots,
    // Features are recorded with method none only, and that method has no forecast to measure.
    measureForecastError: onFeature === undefined,
    phases,
    // The forecaster of a calibration is for a run of one network.
    forecaster: phases.length === 1
      ? forecaster
      : phasedForecaster((steps) => createForecaster(sampler, steps), phased),
    solver,
    latentsAt: (index) => looks.has(index),
    ...fullPasses.by === "errorBudget" && {
      errorWindow: phasedWindow((steps) => new ErrorWindow(steps, fullPasses), phased),
    },
    latents: initial,
    ...signal && { signal },
    onStep: (event) => {
      const told = onStep?.(progressOf(event));
      return looks.has(event.index) ? show(event, told) : told;
    },
  });
  // The steps can leave float32's range although every output is finite.
  assertFinite(latents, run.network);
  const calibration = report?.({ fullSteps, steps: forecastErrors.map(({ step }) => step) });
  return {
    plan,
    latents,
    forecastErrors: new Map(forecastErrors.map(({ step, error }) => [step, error])),
    sampler,
    ...calibration && { calibration },
  };

  async function show(event: StepEvent, told: void | Promise<void>): Promise<void> {
    await told;
    await onPreview!(event.index, await preview(event.predictOriginal()));
  }
}

/** Opens the run's denoiser, with the checks and the recording around it. */
function openDenoiser(
  { denoiser, solver, feature, network, options: { onFeature } }: SamplingRun,
  slots: number,
): RunDenoiser {
  const opened = denoiser(slots, solver.timesteps);
  const watched = onFeature
    ? recordingDenoiser(opened, (index, data) => onFeature({ index, solver, data, ...feature }))
    : opened;
  return finiteDenoiser(watched, network);
}

function progressOf({ index, steps, kind, sigma, elapsedMs, forecastError }: StepEvent): StepProgress {
  return { index, steps, kind, sigma, elapsedMs, ...forecastError !== undefined && { forecastError } };
}
