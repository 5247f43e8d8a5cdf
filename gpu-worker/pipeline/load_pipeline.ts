// Loads a checkpoint of any family and runs it from prompt to picture or video. Random numbers are drawn in
// the order in which diffusers' pipelines draw them.
import { deriveScheduler, type Solver, TorchGenerator } from "../../sampler/mod.ts";
import { holdFrames } from "../denoiser/branch_feeds.ts";
import type { ControlSessions } from "../denoiser/control_residuals.ts";
import type { DenoiserSessions } from "../denoiser/denoiser_shape.ts";
import { featureSum } from "../graph/feature_sum.ts";
import type { OnnxModel } from "../graph/graph_builder.ts";
import { schedulerError } from "../request/complete_scheduler.ts";
import type { GenerateRequest } from "../request/generate_request.ts";
import { cfgScale, guidanceBranches } from "../request/guidance_branches.ts";
import type { ModelDescription } from "../request/model_description.ts";
import { assertFinite, type ValueSource } from "../runtime/mod.ts";
import { type GraphSession, SessionLoader } from "../session/session_loader.ts";
import { type EncodedPrompt, lengthenPrompt } from "../text/encoded_prompt.ts";
import type { LoadedEncoder } from "../text/encode_text.ts";
import { RememberedPrompts } from "../text/remembered_prompts.ts";
import { openTokenizer } from "../text/tokenizer/tokenizer.ts";
import { ImageEncoder } from "../vae/image_encoder.ts";
import { latentsOf } from "../vae/video_size.ts";
import { beginRun } from "./begin_run.ts";
import { controlGraphsOf, prepareControl } from "./control_net.ts";
import { encodeReferences } from "./encode_references.ts";
import {
  denoisedDims,
  type Family,
  type FamilyReading,
  type PreparedRun,
  type PrepareFrames,
} from "./family.ts";
import { type LatentDecoder, VAE } from "./latent_decoder.ts";
import type { GenerateOptions, GenerateResult, ModelInfo, OpenOptions, Pipeline } from "./pipeline.ts";
import { type LoadedDenoiser, prepareDenoiser } from "./prepare_denoiser.ts";
import { runSampling } from "./run_sampling.ts";
import { startPicture } from "./start_picture.ts";
import { Stopwatch } from "./stopwatch.ts";

/**
 * Loads every component of a checkpoint that `family` has read.
 * @throws {CheckpointError} if a config contradicts the weights.
 */
export async function loadPipeline(
  family: Family,
  reading: FamilyReading,
  options: OpenOptions,
): Promise<Pipeline> {
  const { runtime, dtype, model, vaeTiling, weightStore } = options;
  const graphs = reading.buildGraphs({ provider: runtime.provider });
  using stack = new DisposableStack();
  const sessions = stack.use(new SessionLoader(runtime, options));
  const loadEncoders = async () => {
    const encoders: Record<string, LoadedEncoder> = {};
    for (const [name, folder] of Object.entries(reading.tokenizers)) {
      encoders[name] = { session: await sessions.load(graphs[name]!), tokenizer: openTokenizer(folder) };
    }
    const { visionEncoder } = graphs;
    const needsImages = (reading.rules.references?.min ?? 0) > 0;
    const vision = visionEncoder &&
      (needsImages ? await sessions.load(visionEncoder) : sessions.later(visionEncoder));
    return { encoders, vision };
  };
  const { trunk, head, modulation, trunk2, head2, modulation2, vae, vaeEncoder } = graphs;
  const nets = (reading.controlNets ?? []).map(({ name }) => ({ name, ...controlGraphsOf(graphs, name) }));
  const controls: Record<string, ControlSessions> = {};
  const load = async ({ trunk, head, modulation }: NetworkGraphs): Promise<DenoiserSessions> => {
    // A ControlNet alternates with the trunk, so both stay in memory.
    const loaded = await sessions.loadTogether<string>({
      trunk,
      head,
      ...modulation && { modulation },
      ...!runtime.traits.hasAddresses && { featureSum: featureSum(reading.denoiserType ?? dtype) },
      ...Object.fromEntries(nets.flatMap(({ name, net, hint }) => [
        [`net ${name}`, net],
        ...hint ? [[`hint ${name}`, hint]] : [],
      ])),
    });
    for (const { name, hint } of nets) {
      controls[name] = { net: loaded[`net ${name}`]!, ...hint && { hint: loaded[`hint ${name}`]! } };
    }
    return loaded as Record<"trunk" | "head", GraphSession>;
  };
  const encoding = loadEncoders();
  // ONNX Runtime loads a graph on one thread, so on the CPU two graphs load in less time at once.
  if (runtime.provider !== "cpu") await encoding;
  const [{ encoders, vision }, network] = await bothOf(encoding, load({ trunk, head, modulation }));
  const networks = [network];
  // A group of its own: under offloading, one network is freed before the other is loaded.
  if (trunk2 && head2) networks.push(await load({ trunk: trunk2, head: head2, modulation: modulation2 }));
  const session = await sessions.load(vae);
  return new LoadedPipeline({
    model,
    encoders,
    vision,
    denoiser: { family, reading, runtime, dtype, networks, controls },
    network: { component: trunk.name.replace(/_trunk$/, ""), dtype: reading.denoiserType ?? dtype },
    decoder: family.decoder({
      runtime,
      reading,
      graphs,
      session,
      ...vaeTiling !== undefined && { vaeTiling },
    }),
    images: vaeEncoder &&
      stack.use(
        new ImageEncoder(runtime, async () => runtime.createSession(await weightStore.place(vaeEncoder))),
      ),
    prepareFrames: family.prepareFrames?.({
      runtime,
      reading,
      graphs,
      later: (graph) => sessions.later(graph),
    }),
    stack: stack.move(),
  });
}

/** Waits for both, even if one fails: the sessions that it loads must have their owner. */
async function bothOf<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([first, second]);
  return await Promise.all([first, second]);
}

/** The graphs of one network. */
interface NetworkGraphs {
  trunk: OnnxModel;
  head: OnnxModel;
  modulation: OnnxModel | undefined;
}

/**
 * Creates the solver of a run: the checkpoint's, or the one that the request asks for.
 * @throws {OptionError} if that does not take what the family's pipeline passes
 */
function solverOf(
  family: Family,
  { request, reading, ...options }: { request: GenerateRequest } & Parameters<Family["solver"]>[1],
): Solver {
  if (request.scheduler === undefined) return family.solver(request, { reading, ...options });
  try {
    const scheduler = deriveScheduler(reading.scheduler, request.scheduler);
    return family.solver(request, { reading: { ...reading, scheduler }, ...options });
  } catch (cause) {
    throw schedulerError(cause);
  }
}

interface LoadedParts {
  model: ModelInfo;
  encoders: Record<string, LoadedEncoder>;
  vision: GraphSession | undefined;
  denoiser: LoadedDenoiser;
  decoder: LatentDecoder;
  /** The denoiser's network, for errors. */
  network: ValueSource;
  images: ImageEncoder | undefined;
  /** Encodes a video's given frames. Undefined where the checkpoint takes none. */
  prepareFrames: PrepareFrames | undefined;
  /** Owns all of the above. */
  stack: DisposableStack;
}

class LoadedPipeline implements Pipeline {
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
    const { denoiser, decoder, images, prepareFrames } = this.#parts;
    const { family, reading } = denoiser;
    const branches = await this.#encode(request, signal);
    const size = latentsOf(reading.latentScale, request);
    const generator = new TorchGenerator(request.seed);
    const whole = solverOf(family, { request, reading, size, noise: (count) => generator.randn(count) });
    const references = request.references && await encodeReferences(request.references, {
      decode: (reference) => family.referencePicture!(reference, reading),
      packing: family.packing!,
      latentScale: reading.latentScale,
      encoder: images!,
      signal,
    });
    const start = request.startImage && await startPicture(request.startImage, request);
    const control = request.control && await prepareControl(request.control, {
      controls: family.controls!,
      size,
      packing: family.packing,
      encoder: images,
      noise: (count) => generator.randn(count),
      signal,
    });
    if (control) assertFinite(control.hint.data, VAE);
    const { solver, latents: noise, masked } = await beginRun({
      request,
      maskInput: reading.maskInputs ? family.maskInput : undefined,
      start,
      solver: whole,
      size,
      packing: family.packing,
      generator,
      encoder: images,
      signal,
    });
    if (start) assertFinite(noise, VAE);
    if (masked) assertFinite(masked, VAE);
    const { frames, width, height } = request;
    const condition = await prepareFrames?.({ frames, size, width, height, signal });
    for (const values of [condition?.channels, condition?.held]) if (values) assertFinite(values, VAE);
    const initial = condition?.begin?.(noise) ?? noise;
    const encode = watch.lap();

    const plain = (latents: Float32Array<ArrayBuffer>) => ({
      size,
      data: family.packing?.unpack(latents, size) ?? latents,
      signal,
    });
    /** The network's output at given frames means nothing. */
    const withHeld = (latents: Float32Array<ArrayBuffer>) => {
      const given = condition?.held;
      if (given) holdFrames(latents, { given, channels: size.channels, frames: size.frames });
      return latents;
    };
    const run = { request, branches, size, masked, references, control, condition };
    using owned = new DisposableStack();
    const prepare = (runs: readonly PreparedRun[], owned: DisposableStack) =>
      prepareDenoiser(denoiser, runs, owned);
    const { latents, ...sampled } = await runSampling({
      request,
      options,
      solver,
      initial,
      calibration: options.calibration ?? reading.calibration,
      guidance: cfgScale(request, reading.rules),
      feature: {
        branches: branches.length,
        dims: family.featureDims(reading.config, size),
        channelsFirst: family.channelsFirst ?? false,
      },
      phases: family.stages?.(solver.timesteps, reading).map(({ start }) => start),
      network: this.#parts.network,
      denoiser: await options.batch?.join(run, { prepare, signal }) ?? prepare([run], owned),
      preview: (latents) => decoder.preview(plain(withHeld(latents.slice()))),
    });
    withHeld(latents);
    const denoise = watch.lap();
    const decoded = await decoder.decode(plain(latents), request);
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

  [Symbol.dispose](): void {
    this.#parts.stack.dispose();
  }
}
