// The sampler's Denoiser on ONNX Runtime: trunk and head sessions around one feature history on the device.
import type { Denoiser, ForecastCall, ForecastOptions, FullCall, FullResult } from "../../sampler/mod.ts";
import { fromBfloat16 } from "../runtime/bfloat16.ts";
import { type DType, DTYPE_BYTES } from "../runtime/dtype.ts";
import type { Runtime, Tensor } from "../runtime/mod.ts";
import { combineRows } from "./combine_rows.ts";
import type { GraphSession } from "./session_loader.ts";

/** The graphs of a denoiser. */
export interface DenoiserSessions {
  /** Latents, conditioning, forecast_weights, history -> feature, output, relative_error (`featureOutput`). */
  trunk: GraphSession;
  /**
   * forecast_weights, history, conditioning -> output. With the input output_weights [outputs, rows] it returns weighted sums
   * over its rows (steps * branches, step-major), without it the rows.
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
 * What the forecast features of one run of the head may take together, unless one takes more: larger runs are little faster, and
 * their intermediate results are three times as large.
 */
export const FORECAST_BYTES = 32 * 2 ** 20;
/**
 * Forecast features on the CPU up to this size together take a fraction of a millisecond, and are computed on the calling
 * thread: another one would be reached later than that.
 */
const BLOCKING_BYTES = 2 ** 20;

/** Combines the branches' outputs, [branches, latentLength], into one, [latentLength]. */
export type GuideRows = (output: Float32Array) => Float32Array;

export interface OnnxDenoiserOptions {
  /** Rows that run together, each with its own part of the history: 2 under classifier-free guidance, else 1. */
  branches: number;
  /** Length of one row's latents. */
  latentLength: number;
  /** Full passes that a forecast follows: slots of the history. */
  slots: number;
  /** Shape of one row of the trunk's output. @default found out in the first pass */
  outputDims?: readonly number[];
  /** Shape of the last-block feature without the batch. */
  featureDims: readonly number[];
  /** Element type of the feature. */
  featureType: DType;
  /** Inputs of the trunk, `latents` repeated for each branch. They stay the callee's, valid until the next call. */
  trunkFeeds: (latents: Float32Array, timestep: number) => Feeds;
  /**
   * Conditioning of the head, timesteps * branches rows, step-major. It stays the callee's, valid until the next call.
   * @default none, or that of `modulationFeeds`
   */
  headFeeds?: (timesteps: readonly number[]) => Feeds;
  /** Inputs of the modulation for every step of the run, computed at the first forecast. They stay the callee's. */
  modulationFeeds?: () => Feeds;
  /** Guidance as factors of the branches' outputs, [branches], whose sum it is; or as a function where it is more than that. */
  guide: readonly number[] | GuideRows;
}

/**
 * Runs full passes and forecasts for one picture. Its memory is the history: slots x branches x feature.
 * The feature of a full pass is written by the trunk straight into its slot and never leaves the device.
 */
export class OnnxDenoiser implements Denoiser, Disposable {
  readonly #runtime: Runtime;
  readonly #sessions: DenoiserSessions;
  readonly #options: OnnxDenoiserOptions;
  readonly #stack = new DisposableStack();
  readonly #history: Tensor | undefined;
  /** Of one step: all branches. */
  readonly #featureBytes: number;
  /** What a pass feeds that measures nothing. */
  readonly #noWeight: Tensor;
  readonly #noHistory: Tensor;
  /** Where the trunk puts what the host reads; the shape of its output shows in the first pass. */
  #output: Tensor<"float32"> | undefined;
  readonly #error: Tensor<"float32">;
  /** Of all steps, rows in their order. */
  #modulation: Feeds | undefined;
  /** The slots that the last forecasts came from: the next full pass measures against the same. */
  #filled: Tensor | undefined;

  constructor(runtime: Runtime, sessions: DenoiserSessions, options: OnnxDenoiserOptions) {
    this.#runtime = runtime;
    this.#sessions = sessions;
    this.#options = options;
    const { slots, branches, featureDims, featureType } = options;
    this.#featureBytes = featureDims.reduce(
      (product, dim) => product * dim,
      branches * DTYPE_BYTES[featureType],
    );
    this.#noWeight = this.#host([1, 1]);
    this.#error = this.#host([]);
    this.#noHistory = this.#stack.use(
      runtime.allocate(featureType, [1, 1, ...featureDims.map(() => 1)]),
    );
    if (options.outputDims) this.#output = this.#host([branches, ...options.outputDims]);
    if (slots === 0) return;
    this.#history = this.#stack.use(runtime.allocate(featureType, [slots, branches, ...featureDims]));
  }

  async full({ timestep, latents, slot, check, signal }: FullCall): Promise<FullResult> {
    const { trunkFeeds } = this.#options;
    using feature = slot === undefined ? undefined : this.#slot(slot);
    using weights = check && this.#weights([check]);
    const history = check && this.#slots(check.length);
    const feeds = {
      ...trunkFeeds(latents, timestep),
      forecast_weights: weights ?? this.#noWeight,
      history: history ?? this.#noHistory,
    };
    const output = this.#output;
    const results = await this.#sessions.trunk.run(feeds, {
      fetch: ["output", ...feature ? ["feature"] : [], ...check ? ["relative_error"] : []],
      outputs: {
        ...output && { output },
        ...feature && { feature },
        ...check && { relative_error: this.#error },
      },
      signal,
    });
    if (output === undefined) await this.#keepOutput(results["output"]!);
    return {
      output: this.#guide(this.#output!.data()),
      ...check && { forecastError: this.#error.data()[0]! },
    };
  }

  async forecast(
    calls: readonly ForecastCall[],
    { sums, signal }: ForecastOptions = {},
  ): Promise<Float32Array[]> {
    const batch = Math.max(1, Math.floor(FORECAST_BYTES / this.#featureBytes));
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
    { sums, signal }: { sums?: readonly Float64Array[] | undefined; signal: AbortSignal | undefined },
  ): Promise<Float32Array[]> {
    const { branches, latentLength, guide } = this.#options;
    const rows = calls.length * branches;
    if (typeof guide !== "function" && this.#takesSums()) {
      const wanted = sums ?? calls.map((_, i) => oneHot(calls.length, i));
      const guided = wanted.map((weights) => {
        const byRow = new Float64Array(rows);
        for (let row = 0; row < rows; row++) {
          byRow[row] = weights[Math.floor(row / branches)]! * guide[row % branches]!;
        }
        return byRow;
      });
      return split(await this.#runHead(calls, { outputs: guided, signal }), latentLength);
    }
    const all = Array.from({ length: rows }, (_, i) => oneHot(rows, i));
    const data = await this.#runHead(calls, { outputs: all, signal });
    const outputs = split(data, branches * latentLength).map((output) => this.#guide(output));
    return sums?.map((weights) => combineRows(outputs, weights)) ?? outputs;
  }

  /** @param outputs weights over the rows, as far as the head takes them: else all rows come @returns the outputs in a row */
  async #runHead(
    calls: readonly ForecastCall[],
    { outputs, signal }: { outputs: readonly Float64Array[]; signal: AbortSignal | undefined },
  ): Promise<Float32Array> {
    const { head } = this.#sessions;
    const blocking = this.#isShort(calls.length * this.#featureBytes);
    using stack = new DisposableStack();
    const feeds = await this.#conditioning(calls, { stack, signal });
    feeds["forecast_weights"] = stack.use(this.#weights(calls.map((call) => call.weights)));
    feeds["history"] = this.#slots(calls[0]!.weights.length);
    if (this.#takesSums()) feeds["output_weights"] = stack.use(this.#weights(outputs));
    const dims = [outputs.length, ...this.#output!.dims.slice(1)];
    const data = new Float32Array(dims.reduce((product, dim) => product * dim, 1));
    const output = stack.use(this.#runtime.tensor("float32", dims, data));
    await head.run(feeds, { fetch: ["output"], outputs: { output }, signal, blocking });
    return data;
  }

  #takesSums(): boolean {
    return this.#sessions.head.inputNames.includes("output_weights");
  }

  #isShort(bytes: number): boolean {
    return this.#runtime.provider === "cpu" && bytes <= BLOCKING_BYTES;
  }

  async #conditioning(
    calls: readonly ForecastCall[],
    { stack, signal }: { stack: DisposableStack; signal: AbortSignal | undefined },
  ): Promise<Feeds> {
    const { branches, headFeeds } = this.#options;
    if (this.#sessions.modulation === undefined) {
      return { ...headFeeds?.(calls.map((call) => call.timestep)) };
    }
    this.#modulation ??= await this.#modulate(signal);
    const rows = calls.length * branches;
    const feeds: Feeds = {};
    for (const name in this.#modulation) {
      const tensor = this.#modulation[name]!;
      const [all, ...dims] = tensor.dims;
      const start = calls[0]!.step * branches * tensor.byteLength / all!;
      feeds[name] = stack.use(tensor.view(start, [rows, ...dims]));
    }
    return feeds;
  }

  async #modulate(signal: AbortSignal | undefined): Promise<Feeds> {
    const { branches, featureDims, featureType, modulationFeeds } = this.#options;
    const feeds = modulationFeeds!();
    const rows = feeds["timestep"]!.dims[0]! * branches;
    const features = featureDims.at(-1)!;
    const allocate = (dims: number[]) => this.#stack.use(this.#runtime.allocate(featureType, dims));
    const outputs = { scale: allocate([rows, 1, features]), shift: allocate([rows, features]) };
    const blocking = this.#isShort(outputs.scale.byteLength);
    return await this.#sessions.modulation!.run(feeds, { outputs, signal, blocking });
  }

  #guide(output: Float32Array): Float32Array {
    const { guide, latentLength } = this.#options;
    if (typeof guide !== "function") return combineRows(split(output, latentLength), guide);
    // What is returned may be what was given, whose memory the next pass takes.
    return guide(output.slice());
  }

  async #keepOutput(output: Tensor): Promise<void> {
    using first = output.as("float32");
    this.#output = this.#host(first.dims);
    this.#output.data().set(first.location === "cpu" ? first.data() : await first.toArray());
  }

  /** float32 in main memory, zeros. */
  #host(dims: readonly number[]): Tensor<"float32"> {
    const length = dims.reduce((product, dim) => product * dim, 1);
    return this.#stack.use(this.#runtime.tensor("float32", dims, new Float32Array(length)));
  }

  async features(): Promise<Float32Array> {
    const history = this.#history;
    if (history === undefined) return new Float32Array();
    const values = await history.toArray();
    return history.dtype === "bfloat16"
      ? fromBfloat16(values as Uint16Array)
      : Float32Array.from(values as Float32Array);
  }

  #weights(rows: readonly Float64Array[]): Tensor {
    const length = rows[0]!.length;
    const data = new Float32Array(rows.length * length);
    for (const [i, row] of rows.entries()) data.set(row, i * length);
    return this.#runtime.tensor("float32", [rows.length, length], data);
  }

  /** One slot as the trunk's output. */
  #slot(index: number): Tensor {
    const { branches, featureDims } = this.#options;
    return this.#history!.view(index * this.#featureBytes, [branches, ...featureDims]);
  }

  /** The first `count` slots as an input; the denoiser's, until another number is asked for. */
  #slots(count: number): Tensor {
    const { branches, featureDims } = this.#options;
    if (this.#filled?.dims[0] === count) return this.#filled;
    this.#filled?.[Symbol.dispose]();
    return this.#filled = this.#history!.view(0, [count, branches, ...featureDims]);
  }

  [Symbol.dispose](): void {
    this.#filled?.[Symbol.dispose]();
    this.#stack.dispose();
  }
}

function split(data: Float32Array, length: number): Float32Array[] {
  return Array.from({ length: data.length / length }, (_, i) => data.subarray(i * length, (i + 1) * length));
}

function oneHot(length: number, index: number): Float64Array {
  const weights = new Float64Array(length);
  weights[index] = 1;
  return weights;
}

function addTo(sum: Float32Array | undefined, values: Float32Array): Float32Array {
  if (sum === undefined) return values;
  for (let i = 0; i < sum.length; i++) sum[i]! += values[i]!;
  return sum;
}
