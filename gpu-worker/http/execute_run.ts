// Executes one run: pipeline steps become events; previews and the result become files.
import type { DecodedImage } from "../media/decoded_image.ts";
import { planSteps } from "../../sampler/mod.ts";
import type { CancelReason } from "../../protocol/wire/run_event.ts";
import type { Log } from "../../protocol/process/structured_log.ts";
import { CONTENT_TYPES } from "../../protocol/wire/generation_fields.ts";
import type { BatchPlace } from "../denoiser/picture_batch.ts";
import type { StepProgress } from "../pipeline/pipeline.ts";
import { imageTokens } from "../request/image_tokens.ts";
import { DeviceLostError } from "../runtime/mod.ts";
import { encodePicture, encodeResult } from "./encode_result.ts";
import type { ModelLease, ModelPool } from "./model_pool.ts";
import { previewSteps } from "./preview_steps.ts";
import type { Run } from "./run.ts";
import { runError } from "./run_error.ts";
import { type Generated, runReceipt } from "./run_receipt.ts";
import type { WorkerMetrics } from "./worker_metrics.ts";
import { withChosenPrompts } from "../request/wildcards.ts";
import { withImage } from "./wire_request.ts";

export interface ExecuteRunOptions {
  models: ModelPool;
  metrics: WorkerMetrics;
  log: Log;
  /** Name of this worker on receipts. */
  worker: string;
  /** Name of its device on receipts. @default none */
  device?: string;
}

/** A run's turn on the device. */
export interface DeviceTurn {
  /** The run's place in its picture batch. @default made alone */
  batch?: BatchPlace | undefined;
  /** Called once the run no longer needs the device. */
  leave: () => void;
}

/** Emits the events of `run` up to its final one. Never rejects. */
export async function executeRun(run: Run, turn: DeviceTurn, options: ExecuteRunOptions): Promise<void> {
  const { metrics, log } = options;
  const { model } = run.request;
  const queueMs = run.ageMs;
  run.emit({ type: "started" });
  try {
    const generated = await generate(run, turn, options);
    const { request, result, description: { rules } } = generated;
    await Promise.all(generated.previews);
    const file = await encodeResult(run, generated);
    const seconds = { ...result.seconds, queue: queueMs / 1000, total: run.ageMs / 1000 };
    run.emit({
      type: "completed",
      ...file,
      content_type: CONTENT_TYPES[run.request.output_format],
      receipt: runReceipt(generated, { seconds, ...options }),
      image_tokens: imageTokens(request, rules),
    });
    metrics.finished({ model, outcome: "completed", seconds, pictures: generated.pictures });
  } catch (cause) {
    if (run.signal.aborted) {
      run.emit({ type: "cancelled", reason: run.signal.reason as CancelReason });
      metrics.finished({ model, outcome: "cancelled" });
      return;
    }
    const error = runError(cause);
    if (error.status >= 500) {
      log("error", "run failed", { run: run.id, model, error: String(error.cause ?? error) });
    }
    run.emit({ type: "failed", status: error.status, ...error.toBody() });
    metrics.finished({ model, outcome: "failed" });
  }
}

interface Previews {
  /** Previews that are still being encoded. */
  previews: Promise<void>[];
}

async function generate(
  run: Run,
  { batch, leave }: DeviceTurn,
  { models, metrics }: ExecuteRunOptions,
): Promise<Generated & Previews> {
  using stack = new DisposableStack();
  stack.defer(leave);
  if (batch) stack.use(batch);
  const request = withChosenPrompts(await withImage(run.completed, run.request));
  const lease = stack.use(await models.lease(run.request.model));
  const { pipeline } = lease;
  run.signal.throwIfAborted();
  const previews: Promise<void>[] = [];
  const runSteps = request.steps - (request.startImage?.firstStep ?? 0);
  const steps = previewSteps(run.request.previews, planSteps(runSteps, request.sampler));
  const result = await onDevice(lease, () =>
    pipeline.generate(request, {
      signal: run.signal,
      ...batch && { batch },
      onStep: (step) => {
        metrics.pass(step.kind);
        emitStep(run, step);
      },
      previewSteps: new Set(steps),
      // Not awaited: libvips encodes on its own thread while the device continues.
      onPreview: (index, image) => {
        const preview = emitPreview(run, { image, index, steps });
        // executeRun() awaits the preview, unless generate() rejects
        // first. An unhandled rejection would end the process.
        preview.catch(() => {});
        previews.push(preview);
      },
    }));
  const { model, description } = pipeline;
  return {
    request,
    asked: run.completed,
    result,
    previews,
    pictures: batch?.pictures ?? 1,
    model,
    description,
  };
}

/** Tells the pool of models if the device is lost. */
async function onDevice<T>(lease: ModelLease, use: () => Promise<T>): Promise<T> {
  try {
    return await use();
  } catch (error) {
    if (error instanceof DeviceLostError) lease.deviceLost();
    throw error;
  }
}

function emitStep(run: Run, step: StepProgress): void {
  run.emit({
    type: "step",
    step_index: step.index,
    steps: step.steps,
    kind: step.kind,
    sigma: step.sigma,
    elapsed_ms: Math.round(step.elapsedMs * 1000) / 1000,
    ...(step.forecastError !== undefined && { forecast_error: step.forecastError }),
  });
}

async function emitPreview(
  run: Run,
  { image, index, steps }: { image: DecodedImage; index: number; steps: readonly number[] },
): Promise<void> {
  const b64_json = await encodePicture(run, { image });
  run.emit({ type: "preview", preview_index: steps.indexOf(index), step_index: index, b64_json });
}
