// diffusers' StableDiffusion3Pipeline: Stable Diffusion 3, 3.5-Medium, 3.5-Large and its turbo, from text or from an image.
import type { DecodedImage } from "../media/decoded_image.ts";
import { createSolver, type Denoiser, planSteps, TorchGenerator } from "../../sampler/mod.ts";
import type { OnnxModel } from "../graph/graph_builder.ts";
import type { DType } from "../runtime/dtype.ts";
import type { Runtime } from "../runtime/mod.ts";
import { beginRun } from "./begin_run.ts";
import type { BranchFeeds } from "./branch_feeds.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { completeRequest, type RequestRules } from "./complete_request.ts";
import { decodeLatents } from "./decode_latents.ts";
import type { EncodedPrompt } from "./encoded_prompt.ts";
import { guideBranches } from "./guide_branches.ts";
import { ImageEncoder } from "./image_encoder.ts";
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
import { readSd3Checkpoint, type Sd3Checkpoint } from "./sd3_checkpoint.ts";
import { sd3Feeds } from "./sd3_feeds.ts";
import { Sd3PromptEncoder } from "./sd3_prompt_encoder.ts";
import { countSkippingSlots, SkipLayerDenoiser } from "./skip_layer_denoiser.ts";
import { type GraphSession, SessionLoader } from "./session_loader.ts";
import { Stopwatch } from "./stopwatch.ts";
import { tiledDecoder } from "./tiled_decoder.ts";
import { openTokenizer } from "./tokenizer.ts";

/** Pixels. */
const MAX_PREVIEW_SIDE = 256;

interface Loaded {
  prompts: Sd3PromptEncoder;
  denoiser: DenoiserSessions;
  vae: GraphSession;
  images: ImageEncoder;
  stack: DisposableStack;
}

export class Sd3Pipeline implements Pipeline {
  readonly model: ModelInfo;
  readonly #runtime: Runtime;
  readonly #dtype: DType;
  readonly #checkpoint: Sd3Checkpoint;
  readonly #loaded: Loaded;

  private constructor({ runtime, model, dtype }: OpenOptions, checkpoint: Sd3Checkpoint, loaded: Loaded) {
    this.model = model;
    this.#runtime = runtime;
    this.#dtype = dtype;
    this.#checkpoint = checkpoint;
    this.#loaded = loaded;
  }

  /** Loads every component. @throws {CheckpointError} if one is missing, damaged or not supported. */
  static async open(checkpoint: Checkpoint, options: OpenOptions): Promise<Sd3Pipeline> {
    const { runtime, dtype } = options;
    const sd3 = readSd3Checkpoint(checkpoint, dtype);
    const { clip, clip2, t5, trunk, head, vae, vaeEncoder } = sd3.graphs;
    using stack = new DisposableStack();
    const sessions = stack.use(new SessionLoader(runtime, options));
    const encoder = async (model: OnnxModel, tokenizer: string) => ({
      session: await sessions.load(model),
      tokenizer: openTokenizer(checkpoint.path(tokenizer)),
    });
    const encoders = {
      clip: await encoder(clip, "tokenizer"),
      clip2: await encoder(clip2, "tokenizer_2"),
      t5: t5 && await encoder(t5, "tokenizer_3"),
    };
    const denoiser = await sessions.loadTogether({ trunk, head });
    return new Sd3Pipeline(options, sd3, {
      prompts: new Sd3PromptEncoder(runtime, { encoders, width: sd3.config.jointAttentionDim }),
      denoiser,
      vae: tiledDecoder(await sessions.load(vae), { ...options, config: sd3.vaeConfig }),
      images: stack.use(new ImageEncoder(runtime, vaeEncoder)),
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
    const dims = [size.channels, size.height, size.width];
    const { config, scheduler } = this.#checkpoint;
    const imageSeqLen = size.height * size.width / config.patchSize ** 2;
    const { solver, latents: initial } = await beginRun({
      request,
      solver: createSolver(scheduler, { steps: request.steps, imageSeqLen }),
      size,
      generator: new TorchGenerator(request.seed),
      encoder: this.#loaded.images,
      signal,
    });
    const encode = watch.lap();

    const { skipLayerGuidance: skip } = request;
    using feeds = sd3Feeds(this.#runtime, { config, branches, size });
    using skipping = skip && sd3Feeds(this.#runtime, {
      config,
      branches: branches.slice(0, 1),
      size,
      skippedLayers: skip.layers,
    });
    const { plan, latents, forecastErrors } = await runSampling({
      request,
      options,
      solver,
      initial,
      denoiser: (slots) => this.#denoiser(request, { feeds, skipping, size, slots }),
      preview: (latents) => this.#preview(latents, size, signal),
    });
    const denoise = watch.lap();
    const image = await this.#decode({ dims, data: latents }, signal);
    return {
      image,
      plan,
      forecastErrors,
      initialLatents: { dims: [1, ...dims], data: initial },
      latents: { dims: [1, ...dims], data: latents },
      seconds: { encode, denoise, decode: watch.lap(), total: watch.total() },
    };
  }

  [Symbol.dispose](): void {
    this.#loaded.stack.dispose();
  }

  /** The prompt, and under classifier-free guidance the negative prompt as a second branch. */
  async #encode(request: GenerateRequest, signal: AbortSignal | undefined): Promise<EncodedPrompt[]> {
    const { prompt, negativePrompt, guidanceScale, maxSequenceLength } = request;
    const texts = guidanceScale > 1 ? [prompt, negativePrompt] : [prompt];
    const encoded: EncodedPrompt[] = [];
    for (const text of texts) {
      encoded.push(await this.#loaded.prompts.encode(text, { maxSequenceLength, ...signal && { signal } }));
    }
    return encoded;
  }

  /** One network call a step for both branches; under skip-layer guidance a second one for the prompt. */
  #denoiser(
    { guidanceScale, skipLayerGuidance, steps, sampler }: GenerateRequest,
    { feeds, skipping, size, slots }: DenoiserParts,
  ): Denoiser & Disposable {
    if (skipLayerGuidance === undefined || skipping === undefined) {
      const guide = (output: Float32Array) =>
        feeds.branches === 1 ? output : guideBranches(output, guidanceScale);
      return this.#rows(feeds, { size, slots, guide });
    }
    const skippingSlots = countSkippingSlots(planSteps(steps, sampler), skipLayerGuidance);
    const asItIs = (output: Float32Array) => output;
    using stack = new DisposableStack();
    const denoiser = new SkipLayerDenoiser({
      branches: stack.use(this.#rows(feeds, { size, slots, guide: asItIs })),
      skipping: stack.use(this.#rows(skipping, { size, slots: skippingSlots, guide: asItIs })),
      slots: skippingSlots,
      steps,
      guidanceScale,
      guidance: skipLayerGuidance,
    });
    stack.move();
    return denoiser;
  }

  #rows(
    feeds: BranchFeeds,
    { size, slots, guide }: {
      size: LatentSize;
      slots: number;
      guide: (output: Float32Array) => Float32Array;
    },
  ): OnnxDenoiser {
    const { patchSize, innerDim } = this.#checkpoint.config;
    return new OnnxDenoiser(this.#runtime, this.#loaded.denoiser, {
      branches: feeds.branches,
      latentLength: size.channels * size.height * size.width,
      slots,
      featureDims: [size.height / patchSize, size.width / patchSize, innerDim],
      featureType: this.#dtype,
      trunkFeeds: (latents, timestep) => feeds.trunk(latents, timestep),
      headFeeds: (timesteps) => feeds.head(timesteps),
      guide,
    });
  }

  #latentSize({ width, height }: GenerateRequest): LatentSize {
    const { vaeScale, config } = this.#checkpoint;
    return { channels: config.inChannels, height: height / vaeScale, width: width / vaeScale };
  }

  #preview(
    latents: Float32Array,
    size: LatentSize,
    signal: AbortSignal | undefined,
  ): Promise<DecodedImage> {
    return this.#decode(
      previewLatents(latents.slice(), size, MAX_PREVIEW_SIDE / this.#checkpoint.vaeScale),
      signal,
    );
  }

  #decode(
    latents: { dims: readonly number[]; data: Float32Array<ArrayBuffer> },
    signal: AbortSignal | undefined,
  ): Promise<DecodedImage> {
    const { vae } = this.#loaded;
    return decodeLatents({ runtime: this.#runtime, vae }, { ...latents, ...signal && { signal } });
  }
}

interface DenoiserParts {
  feeds: BranchFeeds;
  /** Under skip-layer guidance: those of the prompt alone, with blocks skipped. */
  skipping: BranchFeeds | undefined;
  size: LatentSize;
  slots: number;
}
