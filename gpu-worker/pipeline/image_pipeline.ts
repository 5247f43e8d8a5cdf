// The part that all families of pictures share: a run from prompt to picture, in the order in which diffusers' pipelines
// draw their random numbers. A family says how it encodes a prompt, which solver it takes and what its denoiser is fed.
import { type Solver, TorchGenerator } from "../../sampler/mod.ts";
import type { AutoencoderKLConfig } from "../graph/autoencoder_kl/autoencoder_kl_config.ts";
import type { DecodedImage } from "../media/decoded_image.ts";
import { beginRun } from "./begin_run.ts";
import { decodeLatents } from "../vae/decode_latents.ts";
import type { EncodedPrompt, EncodePromptOptions } from "../text/encoded_prompt.ts";
import type { ImageEncoder } from "../vae/image_encoder.ts";
import type { LatentSize } from "../vae/latent_size.ts";
import { LoadedPipeline } from "./loaded_pipeline.ts";
import type { CheckpointReading, GenerateOptions, GenerateResult, OpenOptions } from "./pipeline.ts";
import type { GenerateRequest } from "../request/generate_request.ts";
import { guidanceBranches } from "../request/guidance_branches.ts";
import { previewLatents } from "../vae/preview_latents.ts";
import { runSampling } from "./run_sampling.ts";
import { type MakeDenoiser } from "../denoiser/run_denoiser.ts";
import type { GraphSession } from "../session/session_loader.ts";
import { Stopwatch } from "./stopwatch.ts";

export interface ImageReading extends CheckpointReading {
  vaeConfig: AutoencoderKLConfig;
  /** Pixels of a latent pixel's side. */
  vaeScale: number;
}

/** The sessions that all families have. */
export interface ImageSessions {
  vae: GraphSession;
  images: ImageEncoder;
  /** Owns these and the family's own. */
  stack: DisposableStack;
}

/** One picture, its prompts encoded. */
export interface ImageRun {
  request: GenerateRequest;
  /** The prompt, then under classifier-free guidance the negative prompt; of equal length. */
  branches: readonly EncodedPrompt[];
  size: LatentSize;
}

/** Pixels. */
const MAX_PREVIEW_SIDE = 256;

export abstract class ImagePipeline<Reading extends ImageReading> extends LoadedPipeline<Reading> {
  readonly #vae: GraphSession;
  readonly #images: ImageEncoder;

  protected constructor(options: OpenOptions, reading: Reading, { vae, images, stack }: ImageSessions) {
    super(options, reading, stack);
    this.#vae = vae;
    this.#images = images;
  }

  /** Channels of the autoencoder's latents. */
  protected abstract readonly latentChannels: number;

  protected abstract encodePrompt(text: string, options: EncodePromptOptions): Promise<EncodedPrompt>;

  /** Of the whole schedule. @param generator for solvers that draw noise on the way */
  protected abstract solver(
    request: GenerateRequest,
    run: { size: LatentSize; generator: TorchGenerator },
  ): Solver;

  /**
   * Makes what the denoiser is fed during `runs` and leaves it to `owned`. Several differ in prompts and seed alone.
   * @returns what makes the denoiser
   */
  protected abstract prepare(runs: readonly ImageRun[], owned: DisposableStack): MakeDenoiser;

  async generate(request: GenerateRequest, options: GenerateOptions = {}): Promise<GenerateResult> {
    const watch = new Stopwatch();
    const { signal } = options;
    signal?.throwIfAborted();
    const branches = await this.#encode(request, signal);
    const size = this.#latentSize(request);
    const generator = new TorchGenerator(request.seed);
    const { solver, latents: beginning } = await beginRun({
      request,
      solver: this.solver(request, { size, generator }),
      size,
      generator,
      encoder: this.#images,
      signal,
    });
    const initial = this.pack(beginning, size);
    const encode = watch.lap();

    const run = { request, branches, size };
    using owned = new DisposableStack();
    const prepare = (runs: readonly ImageRun[], owned: DisposableStack) => this.prepare(runs, owned);
    const denoiser = await options.batch?.join(run, { prepare, signal }) ?? prepare([run], owned);
    const { plan, latents, forecastErrors } = await runSampling({
      request,
      options,
      walks: this.walks,
      solver,
      initial,
      denoiser,
      preview: (latents) => this.#preview(latents, size, signal),
    });
    const denoise = watch.lap();
    const image = await this.#decode(sized(this.unpack(latents, size), size), signal);
    const dims = [1, ...this.packedDims(size)];
    return {
      image,
      plan,
      forecastErrors,
      initialLatents: { dims, data: initial },
      latents: { dims, data: latents },
      seconds: { encode, denoise, decode: watch.lap(), total: watch.total() },
    };
  }

  /** The negative prompt, where guidance asks for one. */
  protected encodeNegative(
    { negativePrompt }: GenerateRequest,
    _positive: EncodedPrompt,
    options: EncodePromptOptions,
  ): Promise<EncodedPrompt> {
    return this.encodePrompt(negativePrompt, options);
  }

  /** From the autoencoder's [channels, height, width] to what the denoiser works on, {@link packedDims}. */
  protected pack(latents: Float32Array<ArrayBuffer>, _size: LatentSize): Float32Array<ArrayBuffer> {
    return latents;
  }

  /** The inverse of {@link pack}. */
  protected unpack(latents: Float32Array<ArrayBuffer>, _size: LatentSize): Float32Array<ArrayBuffer> {
    return latents;
  }

  protected packedDims({ channels, height, width }: LatentSize): number[] {
    return [channels, height, width];
  }

  async #encode(request: GenerateRequest, signal: AbortSignal | undefined): Promise<EncodedPrompt[]> {
    const { prompt, maxSequenceLength } = request;
    const options = { maxSequenceLength, ...signal && { signal } };
    const positive = await this.encodePrompt(prompt, options);
    if (guidanceBranches(request, this.reading.rules) === 1) return [positive];
    return [positive, await this.encodeNegative(request, positive, options)];
  }

  #latentSize({ width, height }: GenerateRequest): LatentSize {
    const { vaeScale } = this.reading;
    return { channels: this.latentChannels, height: height / vaeScale, width: width / vaeScale };
  }

  async #preview(
    latents: Float32Array,
    size: LatentSize,
    signal: AbortSignal | undefined,
  ): Promise<DecodedImage> {
    const plain = this.unpack(latents.slice(), size);
    return await this.#decode(previewLatents(plain, size, MAX_PREVIEW_SIDE / this.reading.vaeScale), signal);
  }

  async #decode(
    latents: { dims: readonly number[]; data: Float32Array<ArrayBuffer> },
    signal: AbortSignal | undefined,
  ): Promise<DecodedImage> {
    return await decodeLatents({ runtime: this.runtime, vae: this.#vae }, {
      ...latents,
      ...signal && { signal },
    });
  }
}

function sized(data: Float32Array<ArrayBuffer>, { channels, height, width }: LatentSize) {
  return { dims: [channels, height, width], data };
}
