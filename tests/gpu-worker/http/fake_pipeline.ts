// A pipeline without a network. Its steps wait for the test, which can show timing and
// faults that a real pipeline cannot.
import { abortable } from "@std/async/abortable";
import type { DecodedVideo } from "../../../gpu-worker/media/decoded_video.ts";
import type {
  GenerateOptions,
  GenerateResult,
  ModelInfo,
  Pipeline,
} from "../../../gpu-worker/pipeline/pipeline.ts";
import type { GenerateRequest } from "../../../gpu-worker/request/generate_request.ts";
import type { ReferenceRules } from "../../../gpu-worker/request/references.ts";
import type { ModelDescription } from "../../../gpu-worker/request/model_description.ts";
import { planSteps } from "../../../sampler/mod.ts";

export interface FakePipelineOptions {
  id?: string;
  /** Whether the pipeline makes videos. @default 5 frames at 8 per second */
  video?: boolean;
  /** How many images it looks at, instead of drawing over one. @default none */
  references?: ReferenceRules;
  /** Awaited before each step. An abort does not wait for it. */
  beforeStep?: (index: number) => void | Promise<void>;
}

const SECONDS = { encode: 0, denoise: 0, decode: 0, total: 0 };

const DEFAULTS = {
  steps: 4,
  width: 16,
  height: 16,
  guidanceScale: 0,
  trueCfgScale: 1,
  guidanceRescale: 0,
  maxSequenceLength: 16,
  sampler: {},
};
const RULES = { sizeMultiple: 8, maxSequenceLength: 16, guidance: "none" } as const;

/**
 * Makes pictures of one colour, which depends on the seed. A video's first frame is the same, each later
 * frame a little darker.
 */
export class FakePipeline implements Pipeline {
  readonly model: ModelInfo;
  readonly description: ModelDescription;
  disposed = false;
  /** The last request. */
  request: GenerateRequest | undefined;
  /** Number of steps begun, over all runs. */
  stepsBegun = 0;
  readonly #beforeStep: NonNullable<FakePipelineOptions["beforeStep"]>;

  constructor({ id = "fake", video = false, references, beforeStep = () => {} }: FakePipelineOptions = {}) {
    this.description = video
      ? {
        defaults: { ...DEFAULTS, numFrames: 5, fps: 8 },
        rules: { ...RULES, video: { frameStep: 4, maxFrames: 65 } },
      }
      : {
        defaults: DEFAULTS,
        rules: {
          ...RULES,
          ...references ? { references } : { startImage: { strength: 0.5, partialStep: "run" } },
        },
      };
    this.model = { id, pipelineClass: "FakePipeline", weights: "as-stored", digest: `digest of ${id}` };
    this.#beforeStep = beforeStep;
  }

  async generate(request: GenerateRequest, options: GenerateOptions = {}): Promise<GenerateResult> {
    if (this.disposed) throw new Error("generate() after disposal");
    this.request = request;
    const { width, height, seed, sampler, startImage } = request;
    const steps = request.steps - (startImage?.firstStep ?? 0);
    const plan = planSteps(steps, sampler);
    const image = { width, height, data: new Float32Array(3 * width * height).fill((seed % 100) / 100) };
    for (const [index, kind] of plan.entries()) {
      options.signal?.throwIfAborted();
      this.stepsBegun++;
      const ready = Promise.resolve(this.#beforeStep(index));
      await (options.signal ? abortable(ready, options.signal) : ready);
      await options.onStep?.({ index, steps, kind, sigma: 1 - index / steps, elapsedMs: index });
      if (options.previewSteps?.has(index)) await options.onPreview?.(index, image);
    }
    const video = this.description.rules.video && videoOf(request);
    const latents = { dims: [1, 4, 16], data: new Float32Array(64) };
    return {
      image,
      ...video && { video },
      plan,
      sampler,
      forecastErrors: new Map(),
      initialLatents: latents,
      latents,
      seconds: SECONDS,
    };
  }

  [Symbol.dispose](): void {
    this.disposed = true;
  }
}

function videoOf({ width, height, numFrames, fps, seed }: GenerateRequest): DecodedVideo {
  const frames = Array.from(
    { length: numFrames },
    (_, index) => new Uint8Array(width * height * 3).fill(Math.max(0, 128 + seed % 100 - index)),
  );
  return { width, height, fps, frames };
}
