// Repeats a recorded diffusers call with our pipeline and compares everything from prompt to picture.
import assert from "node:assert/strict";
import { toRgb } from "../../../gpu-worker/media/to_rgb.ts";
import type { GenerateResult, Pipeline } from "../../../gpu-worker/pipeline/pipeline.ts";
import type { GenerateRequest, PartialRequest } from "../../../gpu-worker/request/generate_request.ts";
import { goldenPath, type Goldens, maxError } from "../../goldens/golden.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";

/** Arguments by diffusers' names, as in goldens.json. */
export interface ReferenceCall {
  prompt: string;
  negative_prompt?: string;
  seed: number;
  num_inference_steps: number;
  /** Left out by calls whose references decide it. */
  width: number;
  height: number;
  /** Frames of a video. */
  num_frames?: number;
  /** @default 0 */
  guidance_scale?: number;
  guidance_scale_2?: number;
  true_cfg_scale?: number;
  guidance_rescale?: number;
  cfg_normalization?: number;
  cfg_truncation?: number;
  strength?: number;
  max_sequence_length?: number;
  skip_guidance_layers?: number[];
  skip_layer_guidance_scale?: number;
  skip_layer_guidance_start?: number;
  skip_layer_guidance_stop?: number;
  /** A scheduler_config.json that replaces the checkpoint's. */
  scheduler?: Record<string, unknown>;
  /** Replaces the value in the checkpoint's model_index.json. */
  force_zeros_for_empty_prompt?: boolean;
  /** Options of Spectrum. A call without them has only full passes. */
  method?: {
    w: number;
    m: number;
    lam: number;
    window_size: number;
    flex_window: number;
    warmup_steps: number;
  };
}

/** The images that a request gives. */
export type GivenImages = Pick<
  PartialRequest,
  "image" | "mask" | "firstFrame" | "lastFrame" | "references"
>;

/** Rounding of two float32 implementations, carried through up to 50 steps; the issue allows 1e-3. */
const LATENTS_TOLERANCE = 1e-4;
/** One rounding of log, sqrt or cos of values up to about 5. */
const NOISE_TOLERANCE = 5e-7;

/** Returns a golden folder's calls of whole pipelines, by case. */
export function referenceCalls(folder: string): [id: string, call: ReferenceCall][] {
  const { cases } = JSON.parse(Deno.readTextFileSync(goldenPath(`${folder}/goldens.json`)));
  return Object.entries(cases as Record<string, ReferenceCall>).filter(([id]) =>
    /^(picture|clip|spectrum)\./.test(id)
  );
}

/** Whether diffusers made the call with other configs than the checkpoint's. */
export function changesCheckpoint(call: ReferenceCall): boolean {
  return call.scheduler !== undefined || call.force_zeros_for_empty_prompt !== undefined;
}

/**
 * Runs a reference call.
 * @param start the start image of an image-to-image call, and the mask of an inpainting call; or a video's
 * given frames
 */
export async function generateReference(
  pipeline: Pipeline,
  call: ReferenceCall,
  start?: GivenImages,
): Promise<GenerateResult> {
  return await pipeline.generate(completeReference(pipeline, call, start));
}

/**
 * Completes a reference call to a request.
 * @param start the start image of an image-to-image call, and the mask of an inpainting call; or a video's
 * given frames
 */
export function completeReference(
  pipeline: Pick<Pipeline, "description">,
  call: ReferenceCall,
  start?: GivenImages,
): GenerateRequest {
  const { method, skip_guidance_layers: layers } = call;
  return completeRequest({
    prompt: call.prompt,
    negativePrompt: call.negative_prompt,
    seed: call.seed,
    steps: call.num_inference_steps,
    width: call.width,
    height: call.height,
    numFrames: call.num_frames,
    guidanceScale: call.guidance_scale ?? 0,
    guidanceScale2: call.guidance_scale_2,
    trueCfgScale: call.true_cfg_scale ?? 1,
    guidanceRescale: call.guidance_rescale,
    cfgNormalization: call.cfg_normalization,
    cfgTruncation: call.cfg_truncation,
    maxSequenceLength: call.max_sequence_length,
    ...start,
    strength: call.strength,
    skipLayerGuidance: layers && {
      layers,
      scale: call.skip_layer_guidance_scale,
      start: call.skip_layer_guidance_start,
      stop: call.skip_layer_guidance_stop,
    },
    sampler: method
      ? {
        method: "spectrum",
        w: method.w,
        m: method.m,
        lam: method.lam,
        windowSize: method.window_size,
        flexWindow: method.flex_window,
        warmupSteps: method.warmup_steps,
      }
      : { method: "none" },
  }, pipeline.description);
}

export function assertReference(
  result: GenerateResult,
  { id, goldens }: { id: string; goldens: Goldens },
): void {
  const near = (actual: ArrayLike<number>, tensor: string, tolerance: number) => {
    const error = maxError(actual, goldens.floats(`${id}.${tensor}`));
    assert.ok(error <= tolerance, `${id}.${tensor}: error ${error} is over ${tolerance}`);
  };
  if (goldens.has(`${id}.initial_latents`)) {
    near(result.initialLatents.data, "initial_latents", NOISE_TOLERANCE);
  }
  near(result.latents.data, "latents", LATENTS_TOLERANCE);
  if (goldens.has(`${id}.plan`)) assertForecasts(result, { id, goldens });
  if (!goldens.has(`${id}.decoded`)) return;
  if (result.video) assertFrames(result, { id, goldens });
  else near(result.image.data, "decoded", LATENTS_TOLERANCE);
}

/** Compares the decoded middle frame, and all frames up to the rounding of their eight bits. */
function assertFrames(
  { image, video }: GenerateResult,
  { id, goldens }: { id: string; goldens: Goldens },
): void {
  const [, count, height, width] = goldens.shape(`${id}.decoded`) as [number, number, number, number];
  const { frames, ...size } = video!;
  assert.deepEqual([frames.length, size.height, size.width], [count, height, width]);
  const decoded = goldens.floats(`${id}.decoded`);
  const area = height * width;
  for (const [i, frame] of frames.entries()) {
    const expected = new Float32Array(3 * area);
    for (let c = 0; c < 3; c++) {
      expected.set(decoded.subarray((c * count + i) * area, (c * count + i + 1) * area), c * area);
    }
    if (i === count >> 1) {
      const error = maxError(image.data, expected);
      assert.ok(error <= LATENTS_TOLERANCE, `${id}: the middle frame's error is ${error}`);
    }
    const rounded = toRgb({ width, height, data: expected });
    const off = frame.findIndex((value, at) => Math.abs(value - rounded[at]!) > 1);
    assert.equal(off, -1, `${id}: frame ${i} differs at byte ${off}`);
  }
}

/**
 * Compares the step plan. Each measured error must lie between those of the branches, which
 * the reference measures separately.
 */
function assertForecasts(
  { plan, forecastErrors }: GenerateResult,
  { id, goldens }: { id: string; goldens: Goldens },
): void {
  assert.deepEqual(plan.map((kind) => kind === "full" ? 1 : 0), [...goldens.ints(`${id}.plan`)]);
  const expected = goldens.floats(`${id}.forecast_errors`);
  const branches = goldens.shape(`${id}.forecast_errors`)[1]!;
  const measured = [...forecastErrors.values()].slice(0, expected.length / branches);
  assert.ok(measured.length > 0);
  for (const [i, error] of measured.entries()) {
    const row = expected.subarray(i * branches, (i + 1) * branches);
    const slack = 1e-4;
    assert.ok(
      error > Math.min(...row) - slack && error < Math.max(...row) + slack,
      `${id}: forecast error ${error} is not among [${row}]`,
    );
  }
}
