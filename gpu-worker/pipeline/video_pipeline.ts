// The part that all families of videos share: a run from prompt to video. A family says how it encodes a prompt, which solver
// it takes, what its denoiser is fed and how its autoencoder is run.
import { type Solver, TorchGenerator } from "../../sampler/mod.ts";
import type { DecodedImage } from "../media/decoded_image.ts";
import { videoLatents } from "../vae/video_latents.ts";
import type { VideoSize } from "../vae/video_size.ts";
import { collectVideo } from "../vae/collect_video.ts";
import type { EncodedPrompt, EncodePromptOptions } from "../text/encoded_prompt.ts";
import { LoadedPipeline } from "./loaded_pipeline.ts";
import type { CheckpointReading, GenerateOptions, GenerateResult } from "./pipeline.ts";
import type { GenerateRequest } from "../request/generate_request.ts";
import { guidanceBranches } from "../request/guidance_branches.ts";
import { previewLatents } from "../vae/preview_latents.ts";
import { runSampling } from "./run_sampling.ts";
import { type MakeDenoiser } from "../denoiser/run_denoiser.ts";
import { Stopwatch } from "./stopwatch.ts";

/** How many pixels and frames a latent stands for. */
export interface LatentScale {
  channels: number;
  /** Pixels of a latent pixel's side. */
  spatial: number;
  /** Frames of each frame of latents but the first, which stands for one. */
  temporal: number;
}

/** One video, its prompts encoded. */
export interface VideoRun {
  request: GenerateRequest;
  /** The prompt, then under classifier-free guidance the negative prompt. */
  branches: readonly EncodedPrompt[];
  size: VideoSize;
}

export interface VideoToDecode {
  size: VideoSize;
  /** [channels, frames, height, width] in the denoiser's scale. */
  data: Float32Array;
  signal?: AbortSignal | undefined;
}

/** Pixels. */
const MAX_PREVIEW_SIDE = 256;

export abstract class VideoPipeline<Reading extends CheckpointReading> extends LoadedPipeline<Reading> {
  protected abstract readonly latentScale: LatentScale;

  protected abstract encodePrompt(text: string, options: EncodePromptOptions): Promise<EncodedPrompt>;

  /** @param generator for solvers that draw noise on the way */
  protected abstract solver(request: GenerateRequest, run: { generator: TorchGenerator }): Solver;

  /**
   * Makes what the denoiser is fed during `run` and leaves it to `owned`.
   * @returns what makes the denoiser
   */
  protected abstract prepare(run: VideoRun, owned: DisposableStack): MakeDenoiser;

  /** Yields the frames in order, each valid until the next one is asked for. */
  protected abstract decode(video: VideoToDecode): AsyncIterable<DecodedImage>;

  async generate(request: GenerateRequest, options: GenerateOptions = {}): Promise<GenerateResult> {
    const watch = new Stopwatch();
    const { signal } = options;
    signal?.throwIfAborted();
    const branches = await this.#encode(request, signal);
    const size = this.videoSize(request);
    const dims = [size.channels, size.frames, size.height, size.width];
    const generator = new TorchGenerator(request.seed);
    const initial = generator.randn(dims.reduce((product, dim) => product * dim, 1));
    const encode = watch.lap();

    using owned = new DisposableStack();
    const { plan, latents, forecastErrors } = await runSampling({
      request,
      options,
      walks: this.walks,
      solver: this.solver(request, { generator }),
      initial,
      denoiser: this.prepare({ request, branches, size }, owned),
      preview: (latents) => this.#preview(latents, size, signal),
    });
    const denoise = watch.lap();
    const video = await collectVideo(this.decode({ size, data: latents, signal }), request);
    return {
      ...video,
      plan,
      forecastErrors,
      initialLatents: { dims: [1, ...dims], data: initial },
      latents: { dims: [1, ...dims], data: latents },
      seconds: { encode, denoise, decode: watch.lap(), total: watch.total() },
    };
  }

  /** Of the latents. */
  protected videoSize({ width, height, numFrames }: GenerateRequest): VideoSize {
    const { channels, spatial, temporal } = this.latentScale;
    return {
      channels,
      frames: (numFrames - 1) / temporal + 1,
      height: height / spatial,
      width: width / spatial,
    };
  }

  async #encode(request: GenerateRequest, signal: AbortSignal | undefined): Promise<EncodedPrompt[]> {
    const { prompt, negativePrompt, maxSequenceLength } = request;
    const branches = guidanceBranches(request, this.reading.rules);
    const encoded: EncodedPrompt[] = [];
    for (const text of [prompt, negativePrompt].slice(0, branches)) {
      encoded.push(await this.encodePrompt(text, { maxSequenceLength, ...signal && { signal } }));
    }
    return encoded;
  }

  /** A frame in the middle of the video. */
  async #preview(
    latents: Float32Array,
    size: VideoSize,
    signal: AbortSignal | undefined,
  ): Promise<DecodedImage> {
    // Latents of a later frame stand for several and for how they follow on what came before: they need one in front.
    const middle = size.frames >> 1;
    const from = Math.max(0, middle - 1);
    const frames = middle + 1 - from;
    const part = videoLatents(latents, { size, from, to: middle + 1 });
    const planes = { channels: size.channels * frames, height: size.height, width: size.width };
    const small = previewLatents(part, planes, MAX_PREVIEW_SIDE / this.latentScale.spatial);
    const [, height, width] = small.dims as [number, number, number];
    const video = { size: { channels: size.channels, frames, height, width }, data: small.data, signal };
    let last: DecodedImage | undefined;
    for await (const frame of this.decode(video)) last = { ...frame, data: frame.data.slice() };
    return last!;
  }
}
