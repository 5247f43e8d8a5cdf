// Executes one run: pipeline steps become events; previews and the result become image files.
import { createHash } from "node:crypto";
import type { DecodedImage } from "../media/decoded_image.ts";
import { planSteps } from "../../sampler/mod.ts";
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { Receipt } from "../../protocol/wire/receipt.ts";
import { heldWeights } from "./model_card.ts";
import type { CancelReason, CompletedEvent } from "../../protocol/wire/run_event.ts";
import type { Log } from "../../protocol/process/structured_log.ts";
import { CONTENT_TYPES, outputFormat, videoFormat } from "../../protocol/wire/generation_fields.ts";
import type { DecodedVideo } from "../media/decoded_video.ts";
import type { FileMetadata } from "../media/metadata/file_metadata.ts";
import { cutWarnings } from "../model/cut_warnings.ts";
import { fileMetadataOf } from "../model/file_metadata_of.ts";
import { encodeVideo } from "../media/encode_video.ts";
import { encodeSpritesheet, encodeThumbnail } from "../media/video_stills.ts";
import { encodeImage } from "../media/encode_image.ts";
import { ImageError } from "../media/image_error.ts";
import type { BatchPlace } from "../denoiser/picture_batch.ts";
import type { GenerateResult, Pipeline, StepProgress } from "../pipeline/pipeline.ts";
import type { GenerateRequest } from "../request/generate_request.ts";
import { imageTokens } from "../request/image_tokens.ts";
import { requestWarnings } from "../request/request_warnings.ts";
import { shortRunNote } from "../request/short_runs.ts";
import { DeviceLimitError, DeviceLostError, NotFiniteError } from "../runtime/mod.ts";
import type { ModelLease, ModelPool } from "./model_pool.ts";
import { previewSteps } from "./preview_steps.ts";
import type { Run } from "./run.ts";
import type { WorkerMetrics } from "./worker_metrics.ts";
import { withChosenPrompts } from "../request/wildcards.ts";
import { optionSettings } from "../request/wire_settings.ts";
import { withImage } from "./wire_request.ts";
import { flattenSamplerOptions } from "../../sampler/mod.ts";
import type { CalibrationReport } from "../pipeline/run_forecaster.ts";
import { samplerToWire } from "../../protocol/wire/sampler_fields.ts";

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
    const metadata = metadataOf(run, generated);
    const file = result.video
      ? await encodeVideoOf(run, { video: result.video, metadata })
      : { b64_json: await encode(run, { image: result.image, metadata }) };
    const seconds = { ...result.seconds, queue: queueMs / 1000, total: run.ageMs / 1000 };
    run.emit({
      type: "completed",
      ...file,
      content_type: CONTENT_TYPES[run.request.output_format],
      receipt: toReceipt(generated, { seconds, ...options }),
      image_tokens: imageTokens(request, rules),
    });
    metrics.finished({ model, outcome: "completed", seconds, pictures: generated.pictures });
  } catch (cause) {
    if (run.signal.aborted) {
      run.emit({ type: "cancelled", reason: run.signal.reason as CancelReason });
      metrics.finished({ model, outcome: "cancelled" });
      return;
    }
    const error = toApiError(cause);
    if (error.status >= 500) {
      log("error", "run failed", { run: run.id, model, error: String(error.cause ?? error) });
    }
    run.emit({ type: "failed", status: error.status, ...error.toBody() });
    metrics.finished({ model, outcome: "failed" });
  }
}

/** The result of a run's turn on the device. */
interface Generated {
  /** With the prompts that wildcards have given. */
  request: GenerateRequest;
  /** The completed request. */
  asked: Run["completed"];
  result: GenerateResult;
  /** Previews that are still being encoded. */
  previews: Promise<void>[];
  /** Size of the picture batch, this run included. */
  pictures: number;
  model: Pipeline["model"];
  description: Pipeline["description"];
}

/**
 * Tells the client which network failed. The remedy is for the operator, but the client
 * learns that a retry is pointless.
 */
function toApiError(cause: unknown): ApiError {
  if (cause instanceof NotFiniteError) {
    return new ApiError(500, cause.message, { code: "not_finite", cause });
  }
  if (cause instanceof DeviceLostError) {
    const message = "The worker lost its device during the run and opens it anew: send the request again";
    return new ApiError(500, message, { code: "device_lost", cause });
  }
  if (cause instanceof DeviceLimitError) {
    const message =
      "The request needs more than a buffer of the worker's device holds: ask for a smaller size";
    return new ApiError(400, message, { code: "device_limit", cause });
  }
  if (cause instanceof ImageError) {
    return new ApiError(400, cause.message, { param: cause.field, code: "invalid_value", cause });
  }
  return ApiError.from(cause);
}

async function generate(
  run: Run,
  { batch, leave }: DeviceTurn,
  { models, metrics }: ExecuteRunOptions,
): Promise<Generated> {
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
  const b64_json = await encode(run, { image });
  run.emit({ type: "preview", preview_index: steps.indexOf(index), step_index: index, b64_json });
}

/** Previews say nothing about themselves. */
async function encode(
  run: Run,
  { image, metadata }: { image: DecodedImage; metadata?: FileMetadata | undefined },
): Promise<string> {
  const { output_format, output_compression: compression } = run.request;
  // A video's output format is no image format; its previews are WebP stills.
  const { data: format = "webp" } = outputFormat.safeParse(output_format);
  const bytes = await encodeImage(image, { format, compression, metadata });
  return bytes.toBase64();
}

async function encodeVideoOf(
  run: Run,
  { video, metadata }: { video: DecodedVideo; metadata: FileMetadata | undefined },
): Promise<Pick<CompletedEvent, "b64_json" | "stills">> {
  const { output_format, output_compression: compression } = run.request;
  const format = videoFormat.parse(output_format);
  const [file, thumbnail, spritesheet] = await Promise.all([
    encodeVideo(video, { format, compression, metadata, signal: run.signal }),
    encodeThumbnail(video),
    encodeSpritesheet(video),
  ]);
  return {
    b64_json: file.toBase64(),
    stills: { thumbnail: thumbnail.toBase64(), spritesheet: spritesheet.toBase64() },
  };
}

function metadataOf({ request: run }: Run, { request, model }: Generated): FileMetadata | undefined {
  if (!run.metadata) return undefined;
  const isLossy = run.output_format !== "png" && run.output_format !== "gif";
  return fileMetadataOf(request, {
    model,
    imageSha256: run.image && sha256(run.image),
    maskSha256: run.mask && sha256(run.mask),
    controlImageSha256: run.control_image && sha256(run.control_image),
    lastFrameSha256: run.last_frame && sha256(run.last_frame),
    compression: isLossy ? run.output_compression : undefined,
  });
}

function sha256(base64: string): string {
  return createHash("sha256").update(base64, "base64").digest("hex");
}

function toReceipt(
  { request, asked, result, pictures, model, description }: Generated,
  { seconds, worker, device }: Pick<Receipt, "seconds" | "worker" | "device">,
): Receipt {
  const { method, full_steps: _, ...options } = samplerToWire(flattenSamplerOptions(result.sampler));
  const warnings = [...requestWarnings(request, { ...model, description }), ...cutWarnings(result)];
  const { dropped = 0 } = result.promptCut ?? {};
  const note = shortRunNote({ method, ...request });
  const stepsOf = (kind: string) => result.plan.flatMap((step, index) => step === kind ? [index] : []);
  return {
    model: model.id,
    model_digest: model.digest,
    ...heldWeights(model),
    seed: request.seed,
    steps: request.steps,
    width: request.width,
    height: request.height,
    ...result.video && { num_frames: request.numFrames, fps: request.fps },
    method,
    options: {
      ...options,
      ...optionSettings(request),
    },
    ...asked.wildcards && { prompt: request.prompt, negative_prompt: request.negativePrompt },
    full_steps: stepsOf("full"),
    forecast_steps: stepsOf("forecast"),
    ...note !== undefined && { note },
    forecast_errors: Object.fromEntries(result.forecastErrors),
    ...result.calibration && { calibration: toCalibrationReceipt(result.calibration) },
    ...pictures > 1 && { batch: pictures },
    ...dropped > 0 && { dropped_tokens: dropped },
    ...warnings.length > 0 && { warnings },
    seconds,
    cache: "miss",
    worker,
    ...device !== undefined && { device },
  };
}

function toCalibrationReceipt(
  { digest, fallback, psnr, predictedErrors }: CalibrationReport,
): NonNullable<Receipt["calibration"]> {
  return {
    digest,
    predicted_errors: Object.fromEntries(predictedErrors),
    ...psnr !== undefined && { psnr },
    ...fallback !== undefined && { fallback },
  };
}
