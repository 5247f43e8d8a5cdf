// diffusers' WanPipeline: Wan2.1 from text, and every checkpoint of that architecture, to a clip.
import { createSolver, TorchGenerator } from "../../sampler/mod.ts";
import type { DecodedImage } from "../media/decoded_image.ts";
import type { BranchFeeds } from "./branch_feeds.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { clipLatents } from "./clip_latents.ts";
import type { ClipSize } from "./clip_size.ts";
import { collectClip } from "./collect_clip.ts";
import { type ClipDecoder, decodeClip, WAN_TILING } from "./decode_clip.ts";
import type { EncodedPrompt } from "./encoded_prompt.ts";
import { guideBranches } from "./guide_branches.ts";
import { LoadedPipeline } from "./loaded_pipeline.ts";
import { type DenoiserSessions, OnnxDenoiser } from "./onnx_denoiser.ts";
import type { GenerateOptions, GenerateRequest, GenerateResult, OpenOptions } from "./pipeline.ts";
import { previewLatents } from "./preview_latents.ts";
import { runSampling } from "./run_sampling.ts";
import { SessionLoader } from "./session_loader.ts";
import { Stopwatch } from "./stopwatch.ts";
import { openTokenizer } from "./tokenizer.ts";
import { readWanCheckpoint, type WanCheckpoint } from "./wan_checkpoint.ts";
import { wanFeeds, wanGrid } from "./wan_feeds.ts";
import { WanPromptEncoder } from "./wan_prompt_encoder.ts";

interface Loaded {
  prompts: WanPromptEncoder;
  denoiser: DenoiserSessions;
  decoder: ClipDecoder;
  /** Owns them. */
  stack: DisposableStack;
}

/** Pixels. */
const MAX_PREVIEW_SIDE = 256;

export class WanPipeline extends LoadedPipeline<WanCheckpoint> {
  readonly #prompts: WanPromptEncoder;
  readonly #sessions: DenoiserSessions;
  readonly #decoder: ClipDecoder;

  private constructor(options: OpenOptions, checkpoint: WanCheckpoint, loaded: Loaded) {
    super(options, checkpoint, loaded.stack);
    this.#prompts = loaded.prompts;
    this.#sessions = loaded.denoiser;
    this.#decoder = loaded.decoder;
  }

  /** Loads every component. @throws {CheckpointError} if one is missing, damaged or not supported. */
  static async open(checkpoint: Checkpoint, options: OpenOptions): Promise<WanPipeline> {
    const { runtime, dtype } = options;
    const reading = readWanCheckpoint(checkpoint, dtype);
    const { t5, trunk, head, vae } = reading.graphs;
    using stack = new DisposableStack();
    const sessions = stack.use(new SessionLoader(runtime, options));
    return new WanPipeline(options, reading, {
      prompts: new WanPromptEncoder(runtime, {
        session: await sessions.load(t5),
        tokenizer: openTokenizer(checkpoint.path("tokenizer")),
        width: reading.config.textDim,
      }),
      denoiser: await sessions.loadTogether({ trunk, head }),
      decoder: {
        runtime,
        vae: await sessions.load(vae),
        caches: reading.vaeCaches,
        scale: reading.vaeConfig.spatialScale,
        tiling: options.vaeTiling ? WAN_TILING : undefined,
      },
      stack: stack.move(),
    });
  }

  async generate(request: GenerateRequest, options: GenerateOptions = {}): Promise<GenerateResult> {
    const watch = new Stopwatch();
    const { signal } = options;
    signal?.throwIfAborted();
    const branches = await this.#encode(request, signal);
    const size = this.#size(request);
    const dims = [size.channels, size.frames, size.height, size.width];
    const initial = new TorchGenerator(request.seed).randn(dims.reduce((product, dim) => product * dim, 1));
    const encode = watch.lap();

    const { config, scheduler } = this.reading;
    using feeds = wanFeeds(this.runtime, { config, branches, size });
    const { plan, latents, forecastErrors } = await runSampling({
      request,
      options,
      solver: createSolver(scheduler, { steps: request.steps }),
      initial,
      denoiser: (slots) => this.#denoiser(feeds, { size, slots, request }),
      preview: (latents) => this.#preview(latents, size, signal),
    });
    const denoise = watch.lap();
    const frames = decodeClip(this.#decoder, { size, data: latents, signal });
    const clip = await collectClip(frames, request);
    return {
      ...clip,
      plan,
      forecastErrors,
      initialLatents: { dims: [1, ...dims], data: initial },
      latents: { dims: [1, ...dims], data: latents },
      seconds: { encode, denoise, decode: watch.lap(), total: watch.total() },
    };
  }

  /** The prompt, and under classifier-free guidance the negative prompt as a second branch. */
  async #encode(request: GenerateRequest, signal: AbortSignal | undefined): Promise<EncodedPrompt[]> {
    const { prompt, negativePrompt, guidanceScale, maxSequenceLength } = request;
    const encoded: EncodedPrompt[] = [];
    for (const text of guidanceScale > 1 ? [prompt, negativePrompt] : [prompt]) {
      encoded.push(await this.#prompts.encode(text, { maxSequenceLength, ...signal && { signal } }));
    }
    return encoded;
  }

  #size({ width, height, numFrames }: GenerateRequest): ClipSize {
    const { config, vaeConfig: { temporalScale, spatialScale } } = this.reading;
    return {
      channels: config.inChannels,
      frames: (numFrames - 1) / temporalScale + 1,
      height: height / spatialScale,
      width: width / spatialScale,
    };
  }

  /** diffusers runs the network once for each branch; here the branches are rows of one run, each with its own history. */
  #denoiser(
    feeds: BranchFeeds,
    { size, slots, request }: { size: ClipSize; slots: number; request: GenerateRequest },
  ): OnnxDenoiser {
    const { config } = this.reading;
    return new OnnxDenoiser(this.runtime, this.#sessions, {
      branches: feeds.branches,
      latentLength: size.channels * size.frames * size.height * size.width,
      slots,
      featureDims: [...wanGrid(config, size), config.innerDim],
      featureType: this.dtype,
      trunkFeeds: (latents, timestep) => feeds.trunk(latents, timestep),
      headFeeds: (timesteps) => feeds.head(timesteps),
      guide: (output) => feeds.branches === 1 ? output : guideBranches(output, request.guidanceScale),
    });
  }

  /** A frame in the middle of the clip. */
  async #preview(
    latents: Float32Array,
    size: ClipSize,
    signal: AbortSignal | undefined,
  ): Promise<DecodedImage> {
    // Latents of a later frame stand for several and for how they follow on what came before: they need one in front.
    const middle = size.frames >> 1;
    const from = Math.max(0, middle - 1);
    const frames = middle + 1 - from;
    const part = clipLatents(latents, { size, from, to: middle + 1 });
    const planes = { channels: size.channels * frames, height: size.height, width: size.width };
    const small = previewLatents(part, planes, MAX_PREVIEW_SIDE / this.reading.vaeConfig.spatialScale);
    const [, height, width] = small.dims as [number, number, number];
    const clip = { size: { channels: size.channels, frames, height, width }, data: small.data, signal };
    let last: DecodedImage | undefined;
    for await (const frame of decodeClip(this.#decoder, clip)) {
      last = { ...frame, data: frame.data.slice() };
    }
    return last!;
  }
}
