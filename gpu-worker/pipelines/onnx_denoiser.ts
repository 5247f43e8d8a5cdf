// The sampler's Denoiser on ONNX Runtime: trunk and head sessions around one feature history on the device.
import type {
  Denoiser,
  ForecastCall,
  ForecastOptions,
  FullCall,
  FullResult,
  PlannedForecasts,
} from "../../sampler/mod.ts";
import type { DType } from "../runtime/dtype.ts";
import type { Runtime, Tensor } from "../runtime/mod.ts";
import { combineRows } from "./combine_rows.ts";
import { FeatureHistory } from "./feature_history.ts";
import { joinRows } from "./join_rows.ts";
import { oneByOne } from "./one_by_one.ts";
import type { GraphSession } from "./session_loader.ts";

/** The graphs of a denoiser. */
export interface DenoiserSessions {
  /** Latents, conditioning, forecast_weights, history -> output and what `featureOutput` declares. */
  trunk: GraphSession;
  /**
   * forecast_weights, history, output_weights [outputs, rows] and what the modulation gives -> output: weighted sums over the
   * rows of all steps, step-major.
   */
  head: GraphSession;
  /**
   * From `modulationFeeds` to the head's inputs scale [rows, 1, features] and shift [rows, features] (`modulationOutputs`), for
   * the rows of all steps, step-major. @default none
   */
  modulation?: GraphSession;
}

type Feeds = Record<string, Tensor>;

/**
 * What the forecast features of one run of the head may take together, unless one takes more: larger runs gain less in time
 * than they take in memory (docs/benchmarks.md).
 */
export const FORECAST_BYTES = 32 * 2 ** 20;
/**
 * Forecast features on the CPU up to this size together take a fraction of a millisecond, and are computed on the calling
 * thread: another one would be reached later than that.
 */
const BLOCKING_BYTES = 2 ** 20;

/** Combines the branches' outputs, [branches, length], into one, [length]. */
export type GuideRows = (output: Float32Array) => Float32Array;

export interface OnnxDenoiserOptions {
  /** Pictures that run together. @default 1 */
  pictures?: number;
  /** Rows of each picture, each with its own part of the history: 2 under classifier-free guidance, else 1. */
  branches: number;
  /** Full passes that a forecast follows: slots of the history. */
  slots: number;
  /** Shape of the latents of one picture, as the graphs return them. */
  outputDims: readonly number[];
  /** Shape of the last-block feature without the batch. */
  featureDims: readonly number[];
  /** Element type of the feature. */
  featureType: DType;
  /** Inputs of the trunk, the latents of each picture repeated for each of its branches. They stay the callee's, valid until the next call. */
  trunkFeeds: (latents: Float32Array, timestep: number) => Feeds;
  /** Inputs of the modulation for every step of the run, computed once. They stay the callee's. */
  modulationFeeds?: () => Feeds;
  /** Guidance as factors of the branches' outputs, [branches], whose sum it is; or as a function where it is more than that. */
  guide: readonly number[] | GuideRows;
}

/** Where several pictures run together, each has its own error. */
export interface PassResult extends FullResult {
  /** By picture, where `check` was given. */
  forecastErrors?: readonly number[];
}

/**
 * Runs full passes and forecasts for one picture, or for several as one batch: their latents, outputs and sums then lie one
 * after the other. Its memory is the history: slots x pictures x branches x feature.
 * The feature of a full pass is written by the trunk straight into its slot and never leaves the device.
 */
export class OnnxDenoiser implements Denoiser, Disposable {
  readonly #runtime: Runtime;
  readonly #sessions: DenoiserSessions;
  readonly #options: OnnxDenoiserOptions;
  readonly #stack: DisposableStack;
  readonly #history: FeatureHistory;
  readonly #pictures: number;
  /** Branches of all pictures. */
  readonly #rows: number;
  /** Elements of one picture's latents. */
  readonly #length: number;
  /** What a pass feeds that measures nothing. */
  readonly #noWeight: Tensor<"float32">;
  readonly #noHistory: Tensor;
  /** The weights of a pass that measures, by their number. */
  readonly #weightsByCount: Tensor<"float32">[] = [];
  /** Where the trunk puts what the host reads. */
  readonly #output: Tensor<"float32">;
  readonly #distance: Tensor<"float32">;
  readonly #norm: Tensor<"float32">;
  /** The head's inputs for forecasts that were announced. */
  readonly #prepared = new Map<readonly ForecastCall[], Feeds>();
  /** Of all steps, rows in their order. */
  #modulation: Feeds | undefined;

  constructor(runtime: Runtime, sessions: DenoiserSessions, options: OnnxDenoiserOptions) {
    this.#runtime = runtime;
    this.#sessions = sessions;
    this.#options = options;
    const { slots, pictures = 1, branches, featureDims, featureType: dtype, outputDims } = options;
    using stack = new DisposableStack();
    const host = (dims: readonly number[]) =>
      stack.use(runtime.tensor("float32", dims, new Float32Array(lengthOf(dims))));
    this.#pictures = pictures;
    this.#rows = pictures * branches;
    this.#length = lengthOf(outputDims);
    this.#noWeight = host([1, 1]);
    this.#noHistory = stack.use(runtime.allocate(dtype, [1, 1, ...featureDims.map(() => 1)]));
    this.#output = host([this.#rows, ...outputDims]);
    this.#distance = host([this.#rows]);
    this.#norm = host([this.#rows]);
    this.#history = stack.use(
      new FeatureHistory(runtime, { slots, dims: [this.#rows, ...featureDims], dtype }),
    );
    this.#stack = stack.move();
  }

  async full({ timestep, latents, slot, check, signal }: FullCall): Promise<PassResult> {
    const { trunkFeeds } = this.#options;
    const feature = slot === undefined ? undefined : this.#history.slot(slot);
    const weights = check ? this.#checkWeights(check.length) : this.#noWeight;
    if (check) weights.data().set(check);
    const feeds = {
      ...trunkFeeds(latents, timestep),
      forecast_weights: weights,
      history: check ? this.#history.filled(check.length) : this.#noHistory,
    };
    await this.#sessions.trunk.run(feeds, {
      fetch: ["output", ...feature ? ["feature"] : [], ...check ? ["forecast_distance", "feature_norm"] : []],
      outputs: {
        output: this.#output,
        ...feature && { feature },
        ...check && { forecast_distance: this.#distance, feature_norm: this.#norm },
      },
      signal,
    });
    return {
      output: this.#guide(this.#output.data()),
      ...check && this.#errors(),
    };
  }

  #checkWeights(count: number): Tensor<"float32"> {
    return this.#weightsByCount[count] ??= this.#stack.use(
      this.#runtime.tensor("float32", [1, count], new Float32Array(count)),
    );
  }

  /** Of all rows and by picture. */
  #errors(): Required<Pick<PassResult, "forecastError" | "forecastErrors">> {
    const [distances, norms] = [this.#distance.data(), this.#norm.data()];
    const errorOf = (from: number, to: number) =>
      Math.hypot(...distances.subarray(from, to)) / Math.hypot(...norms.subarray(from, to));
    const { branches } = this.#options;
    return {
      forecastError: errorOf(0, this.#rows),
      forecastErrors: Array.from(
        { length: this.#pictures },
        (_, picture) => errorOf(picture * branches, (picture + 1) * branches),
      ),
    };
  }

  /** Makes all tensors of the run. */
  async prepare(forecasts: readonly PlannedForecasts[], signal?: AbortSignal): Promise<void> {
    const stack = this.#stack;
    for (let slot = 0; slot < this.#options.slots; slot++) {
      this.#history.slot(slot);
      this.#history.filled(slot + 1);
      this.#checkWeights(slot + 1);
    }
    for (const { calls, sums } of forecasts) {
      if (calls.length > this.#batchSize) continue;
      this.#prepared.set(calls, await this.#headFeeds(calls, { sums, signal, stack }));
    }
  }

  async forecast(
    calls: readonly ForecastCall[],
    { sums, signal }: ForecastOptions = {},
  ): Promise<Float32Array[]> {
    const batch = this.#batchSize;
    if (calls.length <= batch) return await this.#forecastBatch(calls, { sums, signal });
    const outputs: Float32Array[] = [];
    for (let at = 0; at < calls.length; at += batch) {
      const part = calls.slice(at, at + batch);
      if (sums === undefined) {
        outputs.push(...await this.#forecastBatch(part, { signal }));
        continue;
      }
      // The parts of each sum that these calls have.
      const parts = sums.map((weights) => weights.subarray(at, at + batch));
      const asked = parts.flatMap((weights, i) => weights.some((weight) => weight !== 0) ? [i] : []);
      const results = await this.#forecastBatch(part, { sums: asked.map((i) => parts[i]!), signal });
      for (const [j, i] of asked.entries()) outputs[i] = addTo(outputs[i], results[j]!);
    }
    return outputs;
  }

  async #forecastBatch(
    calls: readonly ForecastCall[],
    { sums, signal }: ForecastOptions,
  ): Promise<Float32Array[]> {
    const { guide } = this.#options;
    using stack = new DisposableStack();
    const feeds = this.#prepared.get(calls) ?? await this.#headFeeds(calls, { sums, signal, stack });
    const data = await this.#runHead(feeds, signal);
    if (typeof guide !== "function") return split(data, this.#pictures * this.#length);
    const outputs = split(data, this.#rows * this.#length).map((output) => this.#guide(output));
    return sums?.map((weights) => combineRows(outputs, weights)) ?? outputs;
  }

  /** @param stack owns what is made for these calls alone */
  async #headFeeds(
    calls: readonly ForecastCall[],
    { sums, signal, stack }: ForecastOptions & { stack: DisposableStack },
  ): Promise<Feeds> {
    return {
      ...await this.#conditioning(calls, { stack, signal }),
      forecast_weights: stack.use(this.#weights(calls.map(({ weights }) => weights))),
      history: this.#history.filled(calls[0]!.weights.length),
      output_weights: stack.use(this.#weights(this.#outputWeights(calls.length, sums))),
    };
  }

  /** @returns for each output of the head its weights over the rows of all calls */
  #outputWeights(calls: number, sums: readonly Float64Array[] | undefined): Float64Array[] {
    const { guide } = this.#options;
    // Where guidance is more than a sum the host takes it, and the sums after it.
    if (typeof guide === "function") return oneByOne(calls * this.#rows);
    return (sums ?? oneByOne(calls)).flatMap((weights) => this.#guidedWeights(weights, guide));
  }

  /** @param weights over the calls @returns for each picture the weights over the rows of all calls, guidance included */
  #guidedWeights(weights: Float64Array, guide: readonly number[]): Float64Array[] {
    return Array.from({ length: this.#pictures }, (_, picture) => {
      const byRow = new Float64Array(weights.length * this.#rows);
      for (const [call, weight] of weights.entries()) {
        const first = call * this.#rows + picture * guide.length;
        for (const [branch, factor] of guide.entries()) byRow[first + branch] = weight * factor;
      }
      return byRow;
    });
  }

  /** @returns the outputs in a row */
  async #runHead(feeds: Feeds, signal: AbortSignal | undefined): Promise<Float32Array> {
    const [steps] = feeds["forecast_weights"]!.dims;
    const [outputs] = feeds["output_weights"]!.dims;
    const data = new Float32Array(outputs! * this.#length);
    using output = this.#runtime.tensor("float32", [outputs!, ...this.#options.outputDims], data);
    const blocking = this.#isShort(steps! * this.#history.slotBytes);
    await this.#sessions.head.run(feeds, { fetch: ["output"], outputs: { output }, signal, blocking });
    return data;
  }

  /** Forecasts that one run of the head takes. */
  get #batchSize(): number {
    return Math.max(1, Math.floor(FORECAST_BYTES / this.#history.slotBytes));
  }

  #isShort(bytes: number): boolean {
    return this.#runtime.provider === "cpu" && bytes <= BLOCKING_BYTES;
  }

  async #conditioning(
    calls: readonly ForecastCall[],
    { stack, signal }: { stack: DisposableStack; signal: AbortSignal | undefined },
  ): Promise<Feeds> {
    if (this.#sessions.modulation === undefined) return {};
    this.#modulation ??= await this.#modulate(signal);
    const rows = calls.length * this.#rows;
    const feeds: Feeds = {};
    for (const name in this.#modulation) {
      const tensor = this.#modulation[name]!;
      const [all, ...dims] = tensor.dims;
      const start = calls[0]!.step * this.#rows * tensor.byteLength / all!;
      feeds[name] = stack.use(tensor.view(start, [rows, ...dims]));
    }
    return feeds;
  }

  async #modulate(signal: AbortSignal | undefined): Promise<Feeds> {
    const { featureDims, featureType, modulationFeeds } = this.#options;
    const feeds = modulationFeeds!();
    const rows = feeds["timestep"]!.dims[0]! * this.#rows;
    const features = featureDims.at(-1)!;
    const allocate = (dims: number[]) => this.#stack.use(this.#runtime.allocate(featureType, dims));
    const outputs = { scale: allocate([rows, 1, features]), shift: allocate([rows, features]) };
    const blocking = this.#isShort(outputs.scale.byteLength);
    return await this.#sessions.modulation!.run(feeds, { outputs, signal, blocking });
  }

  /** @param output of all rows @returns of all pictures, a new array */
  #guide(output: Float32Array): Float32Array {
    const { guide, branches } = this.#options;
    const guided = split(output, branches * this.#length).map((rows) =>
      // What a function returns may be what it was given, whose memory the next pass takes.
      typeof guide === "function" ? guide(rows.slice()) : combineRows(split(rows, this.#length), guide)
    );
    return guided.length === 1 ? guided[0]! : joinRows(guided);
  }

  /** All features so far, [slots, rows, ...feature], on the host: to record them. */
  features(): Promise<Float32Array> {
    return this.#history.toArray();
  }

  #weights(rows: readonly Float64Array[]): Tensor {
    return this.#runtime.tensor("float32", [rows.length, rows[0]!.length], joinRows(rows));
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}

function lengthOf(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

function split(data: Float32Array, length: number): Float32Array[] {
  return Array.from({ length: data.length / length }, (_, i) => data.subarray(i * length, (i + 1) * length));
}

function addTo(sum: Float32Array | undefined, values: Float32Array): Float32Array {
  if (sum === undefined) return values;
  for (let i = 0; i < sum.length; i++) sum[i]! += values[i]!;
  return sum;
}
