// diffusers' StableDiffusionPipeline and StableDiffusionXLPipeline, from text or from an image: Stable Diffusion 1.x, 2.x and SDXL.
import { createSolver, TorchGenerator } from "../../sampler/mod.ts";
import type { Runtime } from "../runtime/mod.ts";
import { beginRun } from "./begin_run.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { ClipPromptEncoder, zeroPrompt } from "./clip_prompt_encoder.ts";
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
import { rescaleGuidance } from "./rescale_guidance.ts";
import { runSampling } from "./run_sampling.ts";
import { readSdCheckpoint } from "./sd_checkpoint.ts";
import { readSdxlCheckpoint } from "./sdxl_checkpoint.ts";
import { type GraphSession, SessionLoader } from "./session_loader.ts";
import { Stopwatch } from "./stopwatch.ts";
import { tiledDecoder } from "./tiled_decoder.ts";
import { openTokenizer } from "./tokenizer.ts";
import type { UNetCheckpoint } from "./unet_checkpoint.ts";
import { unetFeeds } from "./unet_feeds.ts";

/** Pixels. */
const MAX_PREVIEW_SIDE = 256;

interface Loaded {
  prompts: ClipPromptEncoder;
  denoiser: DenoiserSessions;
  vae: GraphSession;
  images: ImageEncoder;
  stack: DisposableStack;
}

/** A loaded checkpoint of either class; they differ in what their readers find. */
export class UNetPipeline implements Pipeline {
  readonly model: ModelInfo;
  readonly #runtime: Runtime;
  readonly #checkpoint: UNetCheckpoint;
  readonly #loaded: Loaded;

  private constructor({ runtime, model }: OpenOptions, checkpoint: UNetCheckpoint, loaded: Loaded) {
    this.model = model;
    this.#runtime = runtime;
    this.#checkpoint = checkpoint;
    this.#loaded = loaded;
  }

  /** Loads every component of a Stable Diffusion checkpoint. @throws {CheckpointError} if that is not possible. */
  static openSd(checkpoint: Checkpoint, options: OpenOptions): Promise<UNetPipeline> {
    return UNetPipeline.#open(readSdCheckpoint(checkpoint, options.dtype), options);
  }

  /** Loads every component of an SDXL checkpoint. @throws {CheckpointError} if that is not possible. */
  static openSdxl(checkpoint: Checkpoint, options: OpenOptions): Promise<UNetPipeline> {
    return UNetPipeline.#open(readSdxlCheckpoint(checkpoint, options.dtype), options);
  }

  static async #open(read: UNetCheckpoint, options: OpenOptions): Promise<UNetPipeline> {
    using stack = new DisposableStack();
    const sessions = stack.use(new SessionLoader(options.runtime, options));
    const encoders = [];
    for (const { graph, tokenizer, states } of read.textEncoders) {
      encoders.push({ session: await sessions.load(graph), tokenizer: openTokenizer(tokenizer), states });
    }
    const { trunk, head, vae, vaeEncoder } = read.graphs;
    const denoiser = await sessions.loadTogether({ trunk, head });
    return new UNetPipeline(options, read, {
      prompts: new ClipPromptEncoder(options.runtime, encoders),
      denoiser,
      vae: tiledDecoder(await sessions.load(vae), { ...options, config: read.vaeConfig }),
      images: stack.use(new ImageEncoder(options.runtime, vaeEncoder)),
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
    const generator = new TorchGenerator(request.seed);
    const { solver, latents: initial } = await beginRun({
      request,
      solver: createSolver(this.#checkpoint.scheduler, {
        steps: request.steps,
        noise: (count) => generator.randn(count),
      }),
      size,
      generator,
      encoder: this.#loaded.images,
      signal,
    });
    const encode = watch.lap();

    const { config, unetType } = this.#checkpoint;
    const { height, width } = request;
    using feeds = unetFeeds(this.#runtime, { config, branches, size, height, width });
    const { plan, latents, forecastErrors } = await runSampling({
      request,
      options,
      solver,
      initial,
      denoiser: (slots) =>
        new OnnxDenoiser(this.#runtime, this.#loaded.denoiser, {
          branches: branches.length,
          latentLength: initial.length,
          slots,
          featureDims: [config.channels, size.height, size.width],
          featureType: unetType,
          trunkFeeds: (latents, timestep) => feeds.trunk(latents, timestep),
          headFeeds: () => ({}),
          guide: (output) => guide(output, request),
        }),
      preview: async (latents) =>
        await this.#decode(
          previewLatents(latents.slice(), size, MAX_PREVIEW_SIDE / this.#checkpoint.vaeScale),
          signal,
        ),
    });
    const denoiseSeconds = watch.lap();
    const image = await this.#decode({ dims, data: latents }, signal);
    return {
      image,
      plan,
      forecastErrors,
      initialLatents: { dims: [1, ...dims], data: initial },
      latents: { dims: [1, ...dims], data: latents },
      seconds: { encode, denoise: denoiseSeconds, decode: watch.lap(), total: watch.total() },
    };
  }

  [Symbol.dispose](): void {
    this.#loaded.stack.dispose();
  }

  /** The prompt, and under classifier-free guidance the negative prompt as a second branch. */
  async #encode(
    { prompt, negativePrompt, guidanceScale }: GenerateRequest,
    signal: AbortSignal | undefined,
  ): Promise<EncodedPrompt[]> {
    const { prompts } = this.#loaded;
    const positive = await prompts.encode(prompt, signal);
    if (guidanceScale <= 1) return [positive];
    // An empty negative prompt is one that is not given; diffusers tells None from "".
    const absent = negativePrompt === "" && this.#checkpoint.zeroNegative;
    return [positive, absent ? zeroPrompt(positive) : await prompts.encode(negativePrompt, signal)];
  }

  #latentSize({ width, height }: GenerateRequest): LatentSize {
    const { vaeScale, config } = this.#checkpoint;
    return { channels: config.inChannels, height: height / vaeScale, width: width / vaeScale };
  }

  #decode(
    latents: { dims: readonly number[]; data: Float32Array<ArrayBuffer> },
    signal: AbortSignal | undefined,
  ) {
    const { vae } = this.#loaded;
    return decodeLatents({ runtime: this.#runtime, vae }, { ...latents, ...signal && { signal } });
  }
}

/** One row of output as it is, or two combined by classifier-free guidance. */
function guide(output: Float32Array, { guidanceScale, guidanceRescale }: GenerateRequest): Float32Array {
  if (guidanceScale <= 1) return output;
  const guided = guideBranches(output, guidanceScale);
  if (guidanceRescale === 0) return guided;
  const conditional = output.subarray(0, guided.length);
  return rescaleGuidance(guided, { conditional, rescale: guidanceRescale });
}
