// diffusers' FluxPipeline: FLUX.1-dev, FLUX.1-schnell and every checkpoint of that architecture, text to image.
import {
  createForecaster,
  createSolver,
  denoise,
  planSteps,
  randn,
  type SchedulerConfig,
  type Solver,
} from "../../sampler/mod.ts";
import { parseAutoencoderKLConfig } from "../graph/autoencoder_kl_config.ts";
import { autoencoderKLDecoderGraph } from "../graph/autoencoder_kl_decoder.ts";
import { type FluxTransformerConfig, parseFluxTransformerConfig } from "../graph/flux_config.ts";
import { fluxTransformerGraphs } from "../graph/flux_transformer.ts";
import { forecastErrorGraph } from "../graph/forecast_error.ts";
import type { DType } from "../runtime/dtype.ts";
import type { Runtime, Session } from "../runtime/mod.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { completeRequest, type RequestRules } from "./complete_request.ts";
import { decodeLatents } from "./decode_latents.ts";
import { FluxConditioning } from "./flux_conditioning.ts";
import { type LatentSize, packLatents, unpackLatents } from "./flux_latents.ts";
import { type FluxPrompt, FluxPromptEncoder } from "./flux_prompt_encoder.ts";
import { loadSession } from "./load_session.ts";
import { type DenoiserSessions, OnnxDenoiser } from "./onnx_denoiser.ts";
import type {
  DecodedImage,
  GenerateOptions,
  GenerateRequest,
  GenerateResult,
  ModelInfo,
  PartialRequest,
  Pipeline,
} from "./pipeline.ts";
import { previewLatents } from "./preview_latents.ts";
import { type RequestDefaults, requestDefaults } from "./request_defaults.ts";
import { Stopwatch } from "./stopwatch.ts";

export interface OpenOptions {
  runtime: Runtime;
  /** Compute type of encoders and denoiser. The VAE computes in float32. */
  dtype: DType;
  model: ModelInfo;
}

/** FLUX.1's published settings; schnell is the distilled one without guidance embedding. */
const DEV = { steps: 50, guidanceScale: 3.5, maxSequenceLength: 512 };
const SCHNELL = { steps: 4, guidanceScale: 0, maxSequenceLength: 256 };
/** diffusers' default_sample_size, in latent pixels. */
const DEFAULT_SAMPLE_SIZE = 128;

interface FluxParts {
  config: FluxTransformerConfig;
  vaeScale: number;
  scheduler: SchedulerConfig;
  defaults: RequestDefaults;
  prompts: FluxPromptEncoder;
  sessions: DenoiserSessions;
  vae: Session;
}

export class FluxPipeline implements Pipeline {
  readonly model: ModelInfo;
  readonly #runtime: Runtime;
  readonly #dtype: DType;
  readonly #parts: FluxParts;
  readonly #rules: RequestRules;
  readonly #stack: DisposableStack;

  private constructor({ runtime, model, dtype }: OpenOptions, parts: FluxParts, stack: DisposableStack) {
    this.model = model;
    this.#runtime = runtime;
    this.#dtype = dtype;
    this.#parts = parts;
    this.#stack = stack;
    this.#rules = {
      sizeMultiple: 2 * parts.vaeScale,
      maxSequenceLength: 512,
      guidance: parts.config.guidanceEmbeds,
    };
  }

  /** Loads every component. @throws {CheckpointError} if one is missing, damaged or not supported. */
  static async open(checkpoint: Checkpoint, options: OpenOptions): Promise<FluxPipeline> {
    const { runtime, dtype } = options;
    checkpoint.requireClass("transformer", "FluxTransformer2DModel");
    checkpoint.requireClass("vae", "AutoencoderKL");
    checkpoint.requireClass("scheduler", "FlowMatchEulerDiscreteScheduler");
    const json = checkpoint.json("transformer", "config.json");
    const config = parseFluxTransformerConfig(json);
    const vaeConfig = checkpoint.json("vae", "config.json");
    const vaeScale = 2 **
      (parseAutoencoderKLConfig(vaeConfig, "vae/config.json").block_out_channels.length - 1);
    const scheduler = checkpoint.json("scheduler", "scheduler_config.json");
    // Refuses unknown options now rather than at the first picture.
    createSolver(scheduler, { steps: 1, sigmas: [1], imageSeqLen: 1 });
    const size = DEFAULT_SAMPLE_SIZE * vaeScale;
    const preset = {
      ...(config.guidanceEmbeds ? DEV : SCHNELL),
      width: size,
      height: size,
      trueCfgScale: 1,
      sampler: {},
    };
    const defaults = requestDefaults(checkpoint, preset);

    using stack = new DisposableStack();
    const prompts = stack.use(await FluxPromptEncoder.open(checkpoint, options));
    const weights = checkpoint.weights("transformer", "diffusion_pytorch_model");
    const graphs = fluxTransformerGraphs({ config: json, weights, dtype });
    const vaeWeights = checkpoint.weights("vae", "diffusion_pytorch_model");
    const sessions = {
      trunk: stack.use(await loadSession(runtime, graphs.trunk)),
      head: stack.use(await loadSession(runtime, graphs.head)),
      forecastError: stack.use(
        await loadSession(runtime, forecastErrorGraph({ dims: ["image_tokens", config.innerDim], dtype })),
      ),
    };
    const vae = stack.use(
      await loadSession(
        runtime,
        autoencoderKLDecoderGraph({ config: vaeConfig, weights: vaeWeights, dtype: "float32" }),
      ),
    );
    const parts = { config, vaeScale, scheduler, defaults, prompts, sessions, vae };
    return new FluxPipeline(options, parts, stack.move());
  }

  complete(request: PartialRequest): GenerateRequest {
    return completeRequest(request, { defaults: this.#parts.defaults, rules: this.#rules });
  }

  async generate(request: GenerateRequest, options: GenerateOptions = {}): Promise<GenerateResult> {
    const watch = new Stopwatch();
    const { signal } = options;
    signal?.throwIfAborted();
    const branches = await this.#encode(request, signal);
    const encode = watch.lap();

    const size = this.#latentSize(request);
    const tokens = size.height * size.width / 4;
    const initial = packLatents(randn([size.channels, size.height, size.width], request.seed), size);
    const latents = initial.slice();
    const plan = planSteps(request.steps, request.sampler);
    const errors = new Map<number, number>();
    const { trueCfgScale: scale } = request;
    {
      using conditioning = this.#conditioning(request, branches, size);
      using denoiser = new OnnxDenoiser(this.#runtime, this.#parts.sessions, {
        branches: branches.length,
        latentLength: latents.length,
        slots: anchorCount(plan),
        featureDims: [tokens, this.#parts.config.innerDim],
        featureType: this.#dtype,
        trunkFeeds: (latents, timestep) => conditioning.trunkFeeds(latents, timestep),
        headFeeds: (timesteps) => conditioning.headFeeds(timesteps),
        guide: (output) => branches.length === 1 ? output.slice() : guide(output, scale),
      });
      await denoise(denoiser, {
        plan,
        forecaster: createForecaster(request.sampler, request.steps),
        solver: this.#solver(request.steps, tokens),
        latents,
        ...signal && { signal },
        onStep: async (step) => {
          const { index, steps, kind, sigma, elapsedMs, forecastError } = step;
          if (forecastError !== undefined) errors.set(index, forecastError);
          await options.onStep?.({
            index,
            steps,
            kind,
            sigma,
            elapsedMs,
            ...forecastError !== undefined && { forecastError },
          });
          if (options.onPreview && options.previewSteps?.has(index)) {
            await options.onPreview(index, await this.#preview(step.predictOriginal(), size, signal));
          }
        },
      });
    }
    const denoiseSeconds = watch.lap();
    const image = await this.#decode(latents, size, signal);
    const dims = [1, tokens, size.channels * 4];
    return {
      image,
      plan,
      forecastErrors: errors,
      initialLatents: { dims, data: initial },
      latents: { dims, data: latents },
      seconds: { encode, denoise: denoiseSeconds, decode: watch.lap(), total: watch.total() },
    };
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }

  /** The prompt, and under true classifier-free guidance the negative prompt as a second branch. */
  async #encode(request: GenerateRequest, signal: AbortSignal | undefined): Promise<FluxPrompt[]> {
    const { prompt, negativePrompt, trueCfgScale, maxSequenceLength } = request;
    const texts = trueCfgScale > 1 ? [prompt, negativePrompt] : [prompt];
    const encoded: FluxPrompt[] = [];
    for (const text of texts) {
      encoded.push(await this.#parts.prompts.encode(text, { maxSequenceLength, ...signal && { signal } }));
    }
    return encoded;
  }

  #conditioning(
    request: GenerateRequest,
    branches: readonly FluxPrompt[],
    size: LatentSize,
  ): FluxConditioning {
    const { config } = this.#parts;
    return new FluxConditioning(this.#runtime, {
      config,
      branches,
      size,
      guidanceScale: request.guidanceScale,
    });
  }

  #solver(steps: number, imageSeqLen: number): Solver {
    // np.linspace(1, 1 / steps, steps), as FluxPipeline passes them.
    const sigmas = Array.from(
      { length: steps },
      (_, i) => steps === 1 ? 1 : 1 - i * (1 - 1 / steps) / (steps - 1),
    );
    return createSolver(this.#parts.scheduler, { steps, sigmas, imageSeqLen });
  }

  #latentSize({ width, height }: GenerateRequest): LatentSize {
    const { vaeScale, config } = this.#parts;
    return { channels: config.inChannels / 4, height: height / vaeScale, width: width / vaeScale };
  }

  async #preview(
    packed: Float32Array,
    size: LatentSize,
    signal: AbortSignal | undefined,
  ): Promise<DecodedImage> {
    const { data, dims } = previewLatents(unpackLatents(packed, size), size, 256 / this.#parts.vaeScale);
    return await decodeLatents({ runtime: this.#runtime, vae: this.#parts.vae }, {
      data,
      dims,
      ...signal && { signal },
    });
  }

  async #decode(
    packed: Float32Array,
    size: LatentSize,
    signal: AbortSignal | undefined,
  ): Promise<DecodedImage> {
    const dims = [size.channels, size.height, size.width];
    const data = unpackLatents(packed, size);
    return await decodeLatents({ runtime: this.#runtime, vae: this.#parts.vae }, {
      data,
      dims,
      ...signal && { signal },
    });
  }
}

/** Full passes that a forecast still follows: later ones need not be remembered. */
function anchorCount(plan: readonly string[]): number {
  return plan.slice(0, plan.lastIndexOf("forecast") + 1).filter((kind) => kind === "full").length;
}

/** Rows (prompt, negative prompt) -> negative + scale * (prompt - negative). */
function guide(output: Float32Array, scale: number): Float32Array {
  const length = output.length / 2;
  const guided = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    const negative = output[length + i]!;
    guided[i] = negative + scale * (output[i]! - negative);
  }
  return guided;
}
