// Runs a checkpoint of any family from prompt to picture or video.
import { holdFrames } from "../denoiser/branch_feeds.ts";
import type { GenerateRequest } from "../request/generate_request.ts";
import { cfgScale, guidanceBranches } from "../request/guidance_branches.ts";
import type { ModelDescription } from "../request/model_description.ts";
import { assertFinite, type ValueSource } from "../runtime/mod.ts";
import type { GraphSession } from "../session/session_loader.ts";
import { type EncodedPrompt, lengthenPrompt } from "../text/encoded_prompt.ts";
import type { LoadedEncoder } from "../text/encode_text.ts";
import { RememberedPrompts } from "../text/remembered_prompts.ts";
import type { ImageEncoder } from "../vae/image_encoder.ts";
import type { PreparedRun } from "./family.ts";
import type { PrepareFrames } from "./frame_condition.ts";
import type { FinalLatents, LatentDecoder } from "./latent_decoder.ts";
import type { GenerateOptions, GenerateResult, ModelInfo, Pipeline } from "./pipeline.ts";
import { type LoadedDenoiser, prepareDenoiser } from "./prepare_denoiser.ts";
import { prepareRun, type ReadyRun } from "./prepare_run.ts";
import { denoisedDims } from "./run_shape.ts";
import { runSampling, type SamplingResult } from "./run_sampling.ts";
import { Stopwatch } from "./stopwatch.ts";

/** A loaded checkpoint. */
export interface LoadedParts {
  model: ModelInfo;
  encoders: Record<string, LoadedEncoder>;
  vision: GraphSession | undefined;
  denoiser: LoadedDenoiser;
  decoder: LatentDecoder;
  /** The denoiser's network, for errors. */
  network: ValueSource;
  /** The VAE's encoder. Undefined where the checkpoint takes no image. */
  encoder: ImageEncoder | undefined;
  /** Encodes a video's given frames. Undefined where the checkpoint takes none. */
  prepareFrames: PrepareFrames | undefined;
  /** Owns all of the above. */
  stack: DisposableStack;
}

/** Runs a loaded checkpoint from prompt to picture or video. It owns the parts. */
export class LoadedPipeline implements Pipeline {
  readonly model: ModelInfo;
  readonly #parts: LoadedParts;
  readonly #prompts: RememberedPrompts;

  constructor(parts: LoadedParts) {
    this.model = parts.model;
    this.#parts = parts;
    const { encoders, vision, denoiser: { family, reading, runtime, dtype } } = parts;
    const source = { component: Object.keys(encoders).join("' or '"), dtype };
    this.#prompts = new RememberedPrompts(async (text, options) => {
      const encoded = await family.encodePrompt({ text, ...options }, { runtime, encoders, vision, reading });
      for (const values of [encoded.embeds, encoded.pooled]) assertFinite(values, source);
      return encoded;
    });
  }

  get description(): ModelDescription {
    return this.#parts.denoiser.reading;
  }

  async generate(request: GenerateRequest, options: GenerateOptions = {}): Promise<GenerateResult> {
    const watch = new Stopwatch();
    const { signal } = options;
    signal?.throwIfAborted();
    const { denoiser, decoder, encoder, prepareFrames } = this.#parts;
    const { family, reading } = denoiser;
    const branches = await this.#encode(request, signal);
    const ready = await prepareRun(request, { family, reading, branches, encoder, prepareFrames, signal });
    const encode = watch.lap();
    const { run: { size }, initial, start } = ready;
    const { latents, ...sampled } = await this.#sample(ready, options);
    const final = this.#decodable(latents, { run: ready.run, signal });
    const denoise = watch.lap();
    const decoded = await decoder.decode(final, request);
    const dims = [1, ...denoisedDims(denoiser, size)];
    return {
      ...decoded,
      ...start && { image: await start.finish(decoded.image) },
      ...sampled,
      initialLatents: { dims, data: initial },
      latents: { dims, data: latents },
      promptCut: branches[0]?.cut,
      negativePromptCut: branches[1]?.cut,
      seconds: { encode, denoise, decode: watch.lap(), total: watch.total() },
    };
  }

  /** Encodes the prompt and, under classifier-free guidance, the negative one. */
  async #encode(request: GenerateRequest, signal: AbortSignal | undefined): Promise<EncodedPrompt[]> {
    const { prompt, negativePrompt, maxSequenceLength, promptWeights, longPrompts, references, frames } =
      request;
    const { family, reading } = this.#parts.denoiser;
    const seen = family.promptsSeeReferences && references;
    const options = {
      maxSequenceLength,
      promptWeights,
      longPrompts,
      ...seen && { references: seen },
      ...signal && { signal },
    };
    const firstFrame = family.promptsSeeFirstFrame && frames?.first;
    const positive = await this.#prompts.encode(prompt, { ...options, ...firstFrame && { firstFrame } });
    if (guidanceBranches(request, reading.rules) === 1) return [positive];
    const empty = negativePrompt === "" ? family.emptyNegative?.(positive, reading) : undefined;
    const negative = empty ?? await this.#prompts.encode(negativePrompt, options);
    if (longPrompts === undefined || positive.tokens === negative.tokens) return [positive, negative];
    const length = {
      empty: await this.#prompts.encode("", options),
      tokens: Math.max(positive.tokens, negative.tokens),
    };
    return [lengthenPrompt(positive, length), lengthenPrompt(negative, length)];
  }

  /** Takes a run's steps, alone or in a picture batch. */
  async #sample(
    { run, solver, initial }: ReadyRun,
    options: GenerateOptions,
  ): Promise<SamplingResult> {
    const { denoiser, decoder, network } = this.#parts;
    const { family, reading } = denoiser;
    const { request, branches, size } = run;
    const { signal, batch, calibration = reading.calibration } = options;
    using owned = new DisposableStack();
    const prepare = (runs: readonly PreparedRun[], owned: DisposableStack) =>
      prepareDenoiser(denoiser, runs, owned);
    return await runSampling({
      request,
      options,
      solver,
      initial,
      calibration,
      guidance: cfgScale(request, reading.rules),
      feature: {
        branches: branches.length,
        dims: family.featureDims(reading.config, size),
        channelsFirst: family.channelsFirst ?? false,
      },
      phases: family.stages?.(solver.timesteps, reading).map(({ start }) => start),
      network,
      denoiser: await batch?.join(run, { prepare, signal }) ?? prepare([run], owned),
      preview: (latents) => decoder.preview(this.#decodable(latents.slice(), { run, signal })),
    });
  }

  /**
   * Returns latents as the decoder takes them. Given frames are put back into `latents`, as the network's
   * output there means nothing.
   */
  #decodable(
    latents: Float32Array<ArrayBuffer>,
    { run: { size, condition }, signal }: { run: PreparedRun; signal: AbortSignal | undefined },
  ): FinalLatents {
    const given = condition?.held;
    if (given) holdFrames(latents, { given, channels: size.channels, frames: size.frames });
    return { size, data: this.#parts.denoiser.family.packing?.unpack(latents, size) ?? latents, signal };
  }

  [Symbol.dispose](): void {
    this.#parts.stack.dispose();
  }
}
