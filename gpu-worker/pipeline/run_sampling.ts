// Takes every family's run from encoded prompts to final
// latents: step plan, denoiser, solver, events, previews.
import type { DecodedImage } from "../media/decoded_image.ts";
import {
  createForecaster,
  denoise,
  type Denoiser,
  ErrorWindow,
  historySlots,
  planSteps,
  type Solver,
  type StepEvent,
  type StepKind,
} from "../../sampler/mod.ts";
import { finiteDenoiser } from "../denoiser/finite_denoiser.ts";
import { assertFinite, type ValueSource } from "../runtime/mod.ts";
import type { MakeDenoiser } from "../denoiser/run_denoiser.ts";
import type { GenerateOptions, StepProgress } from "./pipeline.ts";
import type { GenerateRequest } from "../request/generate_request.ts";

export interface SamplingRun {
  request: GenerateRequest;
  /** The caller's signal and callbacks. */
  options: GenerateOptions;
  solver: Solver;
  /** Initial latents; not changed. */
  initial: Float32Array;
  /** Creates the denoiser. It is disposed of when sampling ends or fails. */
  denoiser: MakeDenoiser;
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
}

/**
 * Runs all steps of `run` and returns its final latents.
 * @throws {NotFiniteError} at the first pass, forecast or preview that is not finite.
 * @throws the signal's reason, once it is aborted. The run's memory is freed by then.
 */
export async function runSampling(run: SamplingRun): Promise<SamplingResult> {
  const { request, options, solver, initial, preview } = run;
  const { signal, onStep, onPreview, previewSteps, onFeatures } = options;
  // PNDM calls the network more often than `request.steps`.
  const steps = solver.timesteps.length;
  const { fullPasses } = request.sampler;
  const planned = planSteps(steps, request.sampler);
  const slots = onFeatures ? steps : historySlots(planned, request.sampler);
  using denoiser = finiteDenoiser(run.denoiser(slots, solver.timesteps), run.network);
  const looks = onPreview && previewSteps || new Set<number>();
  const { latents, plan, forecastErrors } = await denoise(denoiser, {
    plan: planned,
    historySlots: slots,
    // Features are recorded with method none only, and that method has no forecast to measure.
    measureForecastError: onFeatures === undefined,
    forecaster: createForecaster(request.sampler, steps),
    solver,
    latentsAt: (index) => looks.has(index),
    ...fullPasses.by === "errorBudget" && { errorWindow: new ErrorWindow(steps, fullPasses) },
    latents: initial,
    ...signal && { signal },
    onStep: (event) => {
      const told = onStep?.(progressOf(event));
      return looks.has(event.index) ? show(event, told) : told;
    },
  });
  // The steps can leave float32's range although every output is finite.
  assertFinite(latents, run.network);
  if (onFeatures) onFeatures(await recorded(denoiser), solver.sigmas);
  return { plan, latents, forecastErrors: new Map(forecastErrors.map(({ step, error }) => [step, error])) };

  async function show(event: StepEvent, told: void | Promise<void>): Promise<void> {
    await told;
    await onPreview!(event.index, await preview(event.predictOriginal()));
  }
}

async function recorded(denoiser: Denoiser): Promise<Float32Array> {
  if (denoiser.features) return await denoiser.features();
  throw new TypeError("Cannot record features as skip-layer guidance keeps two histories");
}

function progressOf({ index, steps, kind, sigma, elapsedMs, forecastError }: StepEvent): StepProgress {
  return { index, steps, kind, sigma, elapsedMs, ...forecastError !== undefined && { forecastError } };
}
