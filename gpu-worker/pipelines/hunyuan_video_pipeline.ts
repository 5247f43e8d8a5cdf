// diffusers' HunyuanVideoPipeline: HunyuanVideo and every checkpoint of that architecture, from text to a clip.
import { createSolver, type Denoiser, linspace, type Solver, TorchGenerator } from "../../sampler/mod.ts";
import type { OnnxModel } from "../graph/graph_builder.ts";
import type { DecodedImage } from "../media/decoded_image.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { clipLatents } from "./clip_latents.ts";
import type { ClipSize } from "./clip_size.ts";
import { collectClip } from "./collect_clip.ts";
import type { EncodedPrompt } from "./encoded_prompt.ts";
import { guideBranches } from "./guide_branches.ts";
import { type HunyuanVideoCheckpoint, readHunyuanVideoCheckpoint } from "./hunyuan_video_checkpoint.ts";
import {
  decodeHunyuanVideo,
  type HunyuanVideoDecoderOptions,
  SPATIAL_TILING,
} from "./hunyuan_video_decoder.ts";
import { hunyuanVideoFeeds, patchGrid } from "./hunyuan_video_feeds.ts";
import { HunyuanVideoPromptEncoder } from "./hunyuan_video_prompt_encoder.ts";
import { LoadedPipeline } from "./loaded_pipeline.ts";
import { type DenoiserSessions, OnnxDenoiser } from "./onnx_denoiser.ts";
import type {
  GenerateOptions,
  GenerateRequest,
  GenerateResult,
  OpenOptions,
  PartialRequest,
} from "./pipeline.ts";
import { previewLatents } from "./preview_latents.ts";
import { runSampling } from "./run_sampling.ts";
import { SeparateBranches } from "./separate_branches.ts";
import { SessionLoader } from "./session_loader.ts";
import { Stopwatch } from "./stopwatch.ts";
import { openTokenizer } from "./tokenizer.ts";

interface Loaded {
  prompts: HunyuanVideoPromptEncoder;
  denoiser: DenoiserSessions;
  decoder: HunyuanVideoDecoderOptions;
  /** Owns them. */
  stack: DisposableStack;
}

/** Pixels. */
const MAX_PREVIEW_SIDE = 256;

export class HunyuanVideoPipeline extends LoadedPipeline<HunyuanVideoCheckpoint> {
  readonly #prompts: HunyuanVideoPromptEncoder;
  readonly #sessions: DenoiserSessions;
  readonly #decoder: HunyuanVideoDecoderOptions;

  private constructor(options: OpenOptions, checkpoint: HunyuanVideoCheckpoint, loaded: Loaded) {
    super(options, checkpoint, loaded.stack);
    this.#prompts = loaded.prompts;
    this.#sessions = loaded.denoiser;
    this.#decoder = loaded.decoder;
  }

  /** Loads every component. @throws {CheckpointError} if one is missing, damaged or not supported. */
  static async open(checkpoint: Checkpoint, options: OpenOptions): Promise<HunyuanVideoPipeline> {
    const { runtime, dtype, vaeTiling } = options;
    const reading = readHunyuanVideoCheckpoint(checkpoint, dtype);
    const { llama, clip, trunk, head, vae } = reading.graphs;
    using stack = new DisposableStack();
    const sessions = stack.use(new SessionLoader(runtime, options));
    const encoder = async (model: OnnxModel, tokenizer: string) => ({
      session: await sessions.load(model),
      tokenizer: openTokenizer(checkpoint.path(tokenizer)),
    });
    const prompts = new HunyuanVideoPromptEncoder(runtime, {
      llama: await encoder(llama, "tokenizer"),
      clip: await encoder(clip, "tokenizer_2"),
      features: reading.config.textEmbedDim,
    });
    return new HunyuanVideoPipeline(options, reading, {
      prompts,
      denoiser: await sessions.loadTogether({ trunk, head }),
      decoder: {
        runtime,
        vae: await sessions.load(vae),
        scale: reading.vaeConfig.spatial_compression_ratio,
        tiling: vaeTiling ? SPATIAL_TILING : undefined,
      },
      stack: stack.move(),
    });
  }

  override complete(partial: PartialRequest): GenerateRequest {
    const request = super.complete(partial);
    const { patchSizeT } = this.reading.config;
    const { frames } = this.#size(request);
    if (frames % patchSizeT !== 0) {
      throw new RangeError(
        `Cannot generate as 'numFrames' must give a multiple of ${patchSizeT} latent frames with this checkpoint: ` +
          `${request.numFrames} give ${frames}`,
      );
    }
    return request;
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

    using owned = new DisposableStack();
    const { plan, latents, forecastErrors } = await runSampling({
      request,
      options,
      solver: this.#solver(request),
      initial,
      denoiser: this.#prepare({ request, branches, size }, owned),
      preview: (latents) => this.#preview(latents, size, signal),
    });
    const denoise = watch.lap();
    const { numFrames, fps } = request;
    const frames = decodeHunyuanVideo({ size, data: latents, signal }, this.#decoder);
    const clip = await collectClip(frames, { numFrames, fps });
    return {
      ...clip,
      plan,
      forecastErrors,
      initialLatents: { dims: [1, ...dims], data: initial },
      latents: { dims: [1, ...dims], data: latents },
      seconds: { encode, denoise, decode: watch.lap(), total: watch.total() },
    };
  }

  /** The prompt, and under true classifier-free guidance the negative prompt as a second branch. */
  async #encode(request: GenerateRequest, signal: AbortSignal | undefined): Promise<EncodedPrompt[]> {
    const { prompt, negativePrompt, trueCfgScale, maxSequenceLength } = request;
    const encoded: EncodedPrompt[] = [];
    for (const text of trueCfgScale > 1 ? [prompt, negativePrompt] : [prompt]) {
      encoded.push(await this.#prompts.encode(text, { maxSequenceLength, ...signal && { signal } }));
    }
    return encoded;
  }

  #solver({ steps }: GenerateRequest): Solver {
    // As HunyuanVideoPipeline passes them.
    const sigmas = [...linspace(1, 0, steps + 1)].slice(0, -1);
    return createSolver(this.reading.scheduler, { steps, sigmas });
  }

  #size({ width, height, numFrames }: GenerateRequest): ClipSize {
    const { config, vaeConfig } = this.reading;
    const { spatial_compression_ratio: scale, temporal_compression_ratio: timeScale } = vaeConfig;
    return {
      channels: config.inChannels,
      frames: (numFrames - 1) / timeScale + 1,
      height: height / scale,
      width: width / scale,
    };
  }

  /** Prompts have as many tokens as they need, so each branch is a call of its own, as in diffusers. */
  #prepare(
    { request, branches, size }: { request: GenerateRequest; branches: EncodedPrompt[]; size: ClipSize },
    owned: DisposableStack,
  ): (slots: number) => Denoiser & Disposable {
    const { config } = this.reading;
    const { guidanceScale, trueCfgScale } = request;
    const feeds = branches.map((prompt) =>
      owned.use(hunyuanVideoFeeds(this.runtime, { config, prompt, size, guidanceScale }))
    );
    return (slots) => {
      using stack = new DisposableStack();
      const denoisers = feeds.map((branch) =>
        stack.use(
          new OnnxDenoiser(this.runtime, this.#sessions, {
            branches: 1,
            latentLength: size.channels * size.frames * size.height * size.width,
            slots,
            featureDims: [...patchGrid(config, size), config.innerDim],
            featureType: this.dtype,
            trunkFeeds: (latents, timestep) => branch.trunk(latents, timestep),
            headFeeds: (timesteps) => branch.head(timesteps),
            guide: (output) => output,
          }),
        )
      );
      stack.move();
      return new SeparateBranches(denoisers, (outputs) => guideBranches(outputs, trueCfgScale));
    };
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
    const small = previewLatents(part, planes, MAX_PREVIEW_SIDE / this.#decoder.scale);
    const [, height, width] = small.dims as [number, number, number];
    const clip = { size: { channels: size.channels, frames, height, width }, data: small.data, signal };
    let last: DecodedImage | undefined;
    for await (const frame of decodeHunyuanVideo(clip, this.#decoder)) last = frame;
    return last!;
  }
}
