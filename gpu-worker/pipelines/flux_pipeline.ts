// diffusers' FluxPipeline: FLUX.1-dev, FLUX.1-schnell and every checkpoint of that architecture, from text or from an image.
import type { DecodedImage } from "../media/decoded_image.ts";
import { createSolver, linspace, type Solver, TorchGenerator } from "../../sampler/mod.ts";
import type { OnnxModel } from "../graph/graph_builder.ts";
import type { DType } from "../runtime/dtype.ts";
import type { Runtime } from "../runtime/mod.ts";
import { beginRun } from "./begin_run.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { completeRequest, type RequestRules } from "./complete_request.ts";
import { decodeLatents } from "./decode_latents.ts";
import type { EncodedPrompt } from "./encoded_prompt.ts";
import { type FluxCheckpoint, readFluxCheckpoint } from "./flux_checkpoint.ts";
import { fluxFeeds } from "./flux_feeds.ts";
import { guideBranches } from "./guide_branches.ts";
import { ImageEncoder } from "./image_encoder.ts";
import { packLatents, unpackLatents } from "./flux_latents.ts";
import { FluxPromptEncoder } from "./flux_prompt_encoder.ts";
import type { LatentSize } from "./latent_size.ts";
import { type DenoiserSessions, OnnxDenoiser } from "./onnx_denoiser.ts";
import type {
  GenerateOptions,
  GenerateRequest,
  GenerateResult,
  ModelInfo,
  OpenOptions,
  PartialRequest,
  Pipeline,
} from "./pipeline.ts";
import { previewLatents } from "./preview_latents.ts";
import type { RequestDefaults } from "./request_defaults.ts";
import { runSampling } from "./run_sampling.ts";
import { type GraphSession, SessionLoader } from "./session_loader.ts";
import { Stopwatch } from "./stopwatch.ts";
import { tiledDecoder } from "./tiled_decoder.ts";
import { openTokenizer } from "./tokenizer.ts";

/** Pixels. */
const MAX_PREVIEW_SIDE = 256;

interface FluxSessions {
  denoiser: DenoiserSessions;
  vae: GraphSession;
  images: ImageEncoder;
}

export class FluxPipeline implements Pipeline {
  readonly model: ModelInfo;
  readonly #runtime: Runtime;
  readonly #dtype: DType;
  readonly #checkpoint: FluxCheckpoint;
  readonly #prompts: FluxPromptEncoder;
  readonly #sessions: FluxSessions;
  readonly #stack: DisposableStack;

  private constructor(
    { runtime, model, dtype }: OpenOptions,
    checkpoint: FluxCheckpoint,
    { prompts, sessions, stack }: {
      prompts: FluxPromptEncoder;
      sessions: FluxSessions;
      stack: DisposableStack;
    },
  ) {
    this.model = model;
    this.#runtime = runtime;
    this.#dtype = dtype;
    this.#checkpoint = checkpoint;
    this.#prompts = prompts;
    this.#sessions = sessions;
    this.#stack = stack;
  }

  /** Loads every component. @throws {CheckpointError} if one is missing, damaged or not supported. */
  static async open(checkpoint: Checkpoint, options: OpenOptions): Promise<FluxPipeline> {
    const { runtime, dtype } = options;
    const flux = readFluxCheckpoint(checkpoint, dtype);
    const { clip, t5, trunk, head, vae, vaeEncoder } = flux.graphs;
    using stack = new DisposableStack();
    const sessions = stack.use(new SessionLoader(runtime, options));
    const encoder = async (model: OnnxModel, tokenizer: string) => ({
      session: await sessions.load(model),
      tokenizer: openTokenizer(checkpoint.path(tokenizer)),
    });
    const prompts = new FluxPromptEncoder(runtime, {
      clip: await encoder(clip, "tokenizer"),
      t5: await encoder(t5, "tokenizer_2"),
    });
    const denoiser = await sessions.loadTogether({ trunk, head });
    const images = stack.use(new ImageEncoder(runtime, vaeEncoder));
    return new FluxPipeline(options, flux, {
      prompts,
      sessions: {
        denoiser,
        vae: tiledDecoder(await sessions.load(vae), { ...options, config: flux.vaeConfig }),
        images,
      },
      stack: stack.move(),
    });
  }

  get defaults(): RequestDefaults {
    return this.#checkpoint.defaults;
  }

  get rules(): RequestRules {
    return this.#checkpoint.rules;
  }

  complete(request: PartialRequest): GenerateRequest {
    return completeRequest(request, this);
  }

  async generate(request: GenerateRequest, options: GenerateOptions = {}): Promise<GenerateResult> {
    const watch = new Stopwatch();
    const { signal } = options;
    signal?.throwIfAborted();
    const branches = await this.#encode(request, signal);
    const size = this.#latentSize(request);
    const tokens = size.height * size.width / 4;
    const beginning = await beginRun({
      request,
      solver: this.#solver(request.steps, tokens),
      size,
      generator: new TorchGenerator(request.seed),
      encoder: this.#sessions.images,
      signal,
    });
    const initial = packLatents(beginning.latents, size);
    const encode = watch.lap();

    const { config } = this.#checkpoint;
    using feeds = fluxFeeds(this.#runtime, { config, branches, size, guidanceScale: request.guidanceScale });
    const { plan, latents, forecastErrors } = await runSampling({
      request,
      options,
      solver: beginning.solver,
      initial,
      denoiser: (slots) =>
        new OnnxDenoiser(this.#runtime, this.#sessions.denoiser, {
          branches: branches.length,
          latentLength: initial.length,
          slots,
          featureDims: [tokens, config.innerDim],
          featureType: this.#dtype,
          trunkFeeds: (latents, timestep) => feeds.trunk(latents, timestep),
          headFeeds: (timesteps) => feeds.head(timesteps),
          guide: (output) => branches.length === 1 ? output : guideBranches(output, request.trueCfgScale),
        }),
      preview: (packed) => this.#preview(packed, size, signal),
    });
    const denoiseSeconds = watch.lap();
    const image = await this.#decode(latents, size, signal);
    const dims = [1, tokens, size.channels * 4];
    return {
      image,
      plan,
      forecastErrors,
      initialLatents: { dims, data: initial },
      latents: { dims, data: latents },
      seconds: { encode, denoise: denoiseSeconds, decode: watch.lap(), total: watch.total() },
    };
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }

  /** The prompt, and under true classifier-free guidance the negative prompt as a second branch. */
  async #encode(request: GenerateRequest, signal: AbortSignal | undefined): Promise<EncodedPrompt[]> {
    const { prompt, negativePrompt, trueCfgScale, maxSequenceLength } = request;
    const texts = trueCfgScale > 1 ? [prompt, negativePrompt] : [prompt];
    const encoded: EncodedPrompt[] = [];
    for (const text of texts) {
      encoded.push(await this.#prompts.encode(text, { maxSequenceLength, ...signal && { signal } }));
    }
    return encoded;
  }

  #solver(steps: number, imageSeqLen: number): Solver {
    // As FluxPipeline passes them.
    const sigmas = [...linspace(1, 1 / steps, steps)];
    return createSolver(this.#checkpoint.scheduler, { steps, sigmas, imageSeqLen });
  }

  #latentSize({ width, height }: GenerateRequest): LatentSize {
    const { vaeScale, config } = this.#checkpoint;
    return { channels: config.inChannels / 4, height: height / vaeScale, width: width / vaeScale };
  }

  async #preview(
    packed: Float32Array,
    size: LatentSize,
    signal: AbortSignal | undefined,
  ): Promise<DecodedImage> {
    const { data, dims } = previewLatents(
      unpackLatents(packed, size),
      size,
      MAX_PREVIEW_SIDE / this.#checkpoint.vaeScale,
    );
    return await decodeLatents({ runtime: this.#runtime, vae: this.#sessions.vae }, {
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
    return await decodeLatents({ runtime: this.#runtime, vae: this.#sessions.vae }, {
      data,
      dims,
      ...signal && { signal },
    });
  }
}
