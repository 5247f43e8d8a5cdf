// Makes one run's picture: pipeline steps become events, previews and the result become image files.
import type { DecodedImage } from "../media/decoded_image.ts";
import { planSteps } from "../../sampler/mod.ts";
import { ApiError } from "../../protocol/api_error.ts";
import type { Receipt } from "../../protocol/receipt.ts";
import type { CancelReason, CompletedEvent } from "../../protocol/run_event.ts";
import type { Log } from "../../protocol/structured_log.ts";
import { CONTENT_TYPES, outputFormat, videoFormat } from "../../protocol/generation_fields.ts";
import type { DecodedVideo } from "../media/decoded_video.ts";
import { encodeVideo } from "../media/encode_video.ts";
import { encodeSpritesheet, encodeThumbnail } from "../media/video_stills.ts";
import { encodeImage } from "../media/encode_image.ts";
import type { GenerateRequest, GenerateResult, StepProgress } from "../pipelines/pipeline.ts";
import { imageTokens } from "./image_tokens.ts";
import type { ModelPool } from "./model_pool.ts";
import { previewSteps } from "./preview_steps.ts";
import type { Run } from "./run.ts";
import type { WorkerMetrics } from "./worker_metrics.ts";
import { completeRun, samplerToWire } from "./wire_request.ts";

export interface ExecuteRunOptions {
  models: ModelPool;
  metrics: WorkerMetrics;
  log: Log;
  /** Name of this worker on receipts. */
  worker: string;
}

/** Emits the events of `run` up to its final one. Never rejects. */
export async function executeRun(run: Run, options: ExecuteRunOptions): Promise<void> {
  const { models, metrics, log } = options;
  const { model } = run.request;
  const startedAt = performance.now();
  run.emit({ type: "started" });
  try {
    using lease = await models.lease(model);
    run.signal.throwIfAborted();
    const request = await completeRun(lease.pipeline, run.request);
    const previews: Promise<void>[] = [];
    const runSteps = request.steps - (request.startImage?.firstStep ?? 0);
    const steps = previewSteps(run.request.previews, planSteps(runSteps, request.sampler));
    const result = await lease.pipeline.generate(request, {
      signal: run.signal,
      onStep: (step) => {
        metrics.pass(step.kind);
        emitStep(run, step);
      },
      previewSteps: new Set(steps),
      // Not awaited here: libvips encodes on a thread of its own while the device goes on.
      onPreview: (index, image) => {
        const preview = emitPreview(run, { image, index, steps });
        // Awaited below, unless generate() rejects first: a rejection that nobody hears ends the process.
        preview.catch(() => {});
        previews.push(preview);
      },
    });
    await Promise.all(previews);
    const file = result.video
      ? await encodeClip(run, result.video)
      : { b64_json: await encode(run, result.image) };
    const seconds = { ...result.seconds, queue: (startedAt - run.acceptedAt) / 1000, total: elapsed(run) };
    const receipt = toReceipt({
      request,
      result,
      seconds,
      model: lease.pipeline.model,
      worker: options.worker,
    });
    run.emit({
      type: "completed",
      ...file,
      content_type: CONTENT_TYPES[run.request.output_format],
      receipt,
      image_tokens: imageTokens(result, { request, rules: lease.pipeline.rules }),
    });
    metrics.finished({ model, outcome: "completed", seconds });
  } catch (cause) {
    if (run.signal.aborted) {
      run.emit({ type: "cancelled", reason: run.signal.reason as CancelReason });
      metrics.finished({ model, outcome: "cancelled" });
      return;
    }
    const error = ApiError.from(cause);
    if (error.status >= 500) {
      log("error", "run failed", { run: run.id, model, error: String(error.cause ?? error) });
    }
    run.emit({ type: "failed", status: error.status, ...error.toBody() });
    metrics.finished({ model, outcome: "failed" });
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
  const b64_json = await encode(run, image);
  run.emit({ type: "preview", preview_index: steps.indexOf(index), step_index: index, b64_json });
}

async function encode(run: Run, image: DecodedImage): Promise<string> {
  const { output_format, output_compression: compression } = run.request;
  // Previews of a clip are stills.
  const { data: format = "webp" } = outputFormat.safeParse(output_format);
  const bytes = await encodeImage(image, { format, compression });
  return bytes.toBase64();
}

async function encodeClip(
  run: Run,
  video: DecodedVideo,
): Promise<Pick<CompletedEvent, "b64_json" | "stills">> {
  const { output_format, output_compression: compression } = run.request;
  const format = videoFormat.parse(output_format);
  const [clip, thumbnail, spritesheet] = await Promise.all([
    encodeVideo(video, { format, compression, signal: run.signal }),
    encodeThumbnail(video),
    encodeSpritesheet(video),
  ]);
  return {
    b64_json: clip.toBase64(),
    stills: { thumbnail: thumbnail.toBase64(), spritesheet: spritesheet.toBase64() },
  };
}

function toReceipt(
  { request, result, seconds, model, worker }: {
    request: GenerateRequest;
    result: GenerateResult;
    seconds: Receipt["seconds"];
    model: { id: string; digest: string };
    worker: string;
  },
): Receipt {
  const { sampler, skipLayerGuidance, startImage } = request;
  const stepsOf = (kind: string) => result.plan.flatMap((step, index) => step === kind ? [index] : []);
  return {
    model: model.id,
    model_digest: model.digest,
    seed: request.seed,
    steps: request.steps,
    width: request.width,
    height: request.height,
    ...result.video && { num_frames: request.numFrames, fps: request.fps },
    method: sampler.method,
    options: {
      ...samplerToWire(sampler),
      guidance_scale: request.guidanceScale,
      true_cfg_scale: request.trueCfgScale,
      guidance_rescale: request.guidanceRescale,
      ...skipLayerGuidance && { skip_layer_guidance: skipLayerGuidance },
      ...startImage && { strength: startImage.strength },
    },
    full_steps: stepsOf("full"),
    forecast_steps: stepsOf("forecast"),
    forecast_errors: Object.fromEntries(result.forecastErrors),
    seconds,
    cache: "miss",
    worker,
  };
}

function elapsed(run: Run): number {
  return (performance.now() - run.acceptedAt) / 1000;
}
