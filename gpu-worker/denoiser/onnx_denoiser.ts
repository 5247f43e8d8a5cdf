// Implements the sampler's Denoiser on ONNX Runtime: trunk
// and head sessions around one feature history on the device.
import type {
  Denoiser,
  ForecastCall,
  ForecastOptions,
  FullCall,
  FullResult,
  PlannedForecasts,
} from "../../sampler/mod.ts";
import type { Runtime, Tensor } from "../runtime/mod.ts";
import { combineRows, joinRows } from "./combine_rows.ts";
import type { FeatureHistory, ForecastFeeds } from "./feature_history.ts";
import { type DenoiserFeeds, type DenoiserSessions, type DenoiserShape, rowsOf } from "./denoiser_shape.ts";
import { type HeadRun, HeadRuns } from "./head_runs.ts";
import { openHistory } from "./open_history.ts";

/**
 * Largest total size of the forecast features in one call of the head, unless a single feature is larger.
 * Bigger calls cost more memory than they save time (docs/benchmarks.md).
 */
export const FORECAST_BYTES = 32 * 2 ** 20;
/**
 * Largest total size of forecast features that the CPU computes on the calling thread. They take a fraction
 * of a millisecond, which is less than the hand-over to another thread.
 */
const BLOCKING_BYTES = 2 ** 20;

/** The result of a full pass. Each picture of a picture batch has its own error. */
export interface PassResult extends FullResult {
  /** Relative forecast error of each picture; set if `check` was given. */
  forecastErrors?: readonly number[];
}

/** The inputs of a full pass that measures an error. */
interface Check {
  weights: Tensor<"float32">;
  forecast: ForecastFeeds;
}

/**
 * Runs full passes and forecasts for one picture or for a picture
 * batch, whose latents, outputs and sums are concatenated.
 * Its memory is the history: slots x pictures x branches x feature. The trunk writes the feature of a full
 * pass straight into its slot; the feature never leaves the device.
 */
export class OnnxDenoiser implements Denoiser, Disposable {
  readonly #runtime: Runtime;
  readonly #sessions: DenoiserSessions;
  readonly #shape: DenoiserShape & DenoiserFeeds;
  readonly #stack: DisposableStack;
  readonly #history: FeatureHistory;
  readonly #pictures: number;
  /** Number of rows: branches of all pictures. */
  readonly #rows: number;
  /** Elements of one picture's latents. */
  readonly #length: number;
  /** Placeholder inputs for a full pass that measures no error. */
  readonly #noForecast: ForecastFeeds;
  /** Weights and inputs for a full pass that measures an error, by the number of weights. */
  readonly #checks: Check[] = [];
  /** Host memory for the trunk's outputs. */
  readonly #output: Tensor<"float32">;
  readonly #distance: Tensor<"float32">;
  readonly #norm: Tensor<"float32">;
  readonly #headRuns: HeadRuns;

  constructor(runtime: Runtime, sessions: DenoiserSessions, options: DenoiserShape & DenoiserFeeds) {
    this.#runtime = runtime;
    this.#sessions = sessions;
    this.#shape = options;
    const { slots, pictures = 1, featureDims, featureType: dtype, outputDims } = options;
    using stack = new DisposableStack();
    const host = (dims: readonly number[]) =>
      stack.use(runtime.tensor("float32", dims, new Float32Array(lengthOf(dims))));
    this.#pictures = pictures;
    this.#rows = rowsOf(options);
    this.#length = lengthOf(outputDims);
    this.#noForecast = {
      feeds: {
        forecast_weights: host([1, 1]),
        history: stack.use(runtime.allocateAddressable(dtype, [1, 1, ...featureDims.map(() => 1)])),
      },
    };
    this.#output = host([this.#rows, ...outputDims]);
    this.#distance = host([this.#rows]);
    this.#norm = host([this.#rows]);
    this.#history = stack.use(
      openHistory(runtime, {
        slots,
        dims: [this.#rows, ...featureDims],
        dtype,
        featureSum: sessions.featureSum,
      }),
    );
    this.#headRuns = stack.use(
      new HeadRuns(runtime, {
        sessions,
        shape: options,
        history: this.#history,
        feeds: options,
        isShort: (bytes) => this.#isShort(bytes),
      }),
    );
    this.#stack = stack.move();
  }

  async full({ step, timestep, latents, slot, check, signal }: FullCall): Promise<PassResult> {
    const { trunkFeeds, residuals } = this.#shape;
    using owned = new DisposableStack();
    const { feeds, compute } = check ? this.#check(check) : this.#noForecast;
    const forecast = await compute?.({ owned, signal }) ?? feeds;
    const place = slot === undefined ? undefined : this.#history.slot(slot);
    const own = trunkFeeds(latents, timestep);
    const added = await residuals?.({ step, latents, timestep, feeds: own, owned, signal });
    const { feature } = await this.#sessions.trunk.run({ ...own, ...added, ...forecast }, {
      fetch: [
        "output",
        ...slot === undefined ? [] : ["feature"],
        ...check ? ["forecast_distance", "feature_norm"] : [],
      ],
      outputs: {
        output: this.#output,
        ...place && { feature: place },
        ...check && { forecast_distance: this.#distance, feature_norm: this.#norm },
      },
      signal,
    });
    if (slot !== undefined && !place) this.#history.store(slot, feature!);
    return {
      output: this.#guide(this.#output.data()),
      ...check && this.#errors(),
    };
  }

  /**
   * Takes over the history of a denoiser of more pictures.
   * @param pictures the places there of this denoiser's pictures
   */
  async adopt(from: OnnxDenoiser, pictures: readonly number[]): Promise<void> {
    const { branches } = this.#shape;
    const rows = pictures.flatMap((picture) =>
      Array.from({ length: branches }, (_, branch) => picture * branches + branch)
    );
    await this.#history.copyRows(from.#history, rows);
  }

  #check(values: Float64Array): ForecastFeeds {
    const { weights, forecast } = this.#checkOf(values.length);
    weights.data().set(values);
    return forecast;
  }

  #checkOf(count: number): Check {
    let check = this.#checks[count];
    if (check === undefined) {
      const weights = this.#stack.use(
        this.#runtime.tensor("float32", [1, count], new Float32Array(count)),
      );
      this.#checks[count] = check = { weights, forecast: this.#history.forecasts(weights) };
    }
    return check;
  }

  /** Returns the error over all rows, and the error of each picture. */
  #errors(): Required<Pick<PassResult, "forecastError" | "forecastErrors">> {
    const [distances, norms] = [this.#distance.data(), this.#norm.data()];
    const errorOf = (from: number, to: number) =>
      Math.hypot(...distances.subarray(from, to)) / Math.hypot(...norms.subarray(from, to));
    const { branches } = this.#shape;
    return {
      forecastError: errorOf(0, this.#rows),
      forecastErrors: Array.from(
        { length: this.#pictures },
        (_, picture) => errorOf(picture * branches, (picture + 1) * branches),
      ),
    };
  }

  /** Allocates all tensors of the run. */
  async prepare(forecasts: readonly PlannedForecasts[], signal?: AbortSignal): Promise<void> {
    for (let slot = 0; slot < this.#shape.slots; slot++) {
      this.#history.slot(slot);
      this.#checkOf(slot + 1);
    }
    await this.#headRuns.prepare(forecasts.filter(({ calls }) => calls.length <= this.#batchSize), signal);
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
      // Split each sum: the part of its weights that belongs to these calls.
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
    const ready = this.#headRuns.ready(calls, sums);
    if (ready) {
      signal?.throwIfAborted();
      ready.direct.runBlocking();
      return this.#outputsOf(ready, sums);
    }
    using stack = new DisposableStack();
    const run = await this.#headRuns.of(calls, { sums, signal, stack });
    const blocking = this.#isShort(calls.length * this.#history.slotBytes);
    const computed = await run.compute?.({ owned: stack, signal });
    await this.#sessions.head.run({ ...run.feeds, ...computed }, {
      fetch: ["output"],
      outputs: { output: run.output },
      signal,
      blocking,
    });
    return this.#outputsOf(run, sums);
  }

  #outputsOf({ output }: HeadRun, sums: ForecastOptions["sums"]): Float32Array[] {
    const { guide } = this.#shape;
    // Copy, as the next call overwrites this memory.
    const data = output.data().slice();
    if (typeof guide !== "function") return split(data, this.#pictures * this.#length);
    const outputs = split(data, this.#rows * this.#length).map((rows) => this.#guide(rows));
    return sums?.map((weights) => combineRows(outputs, weights)) ?? outputs;
  }

  /** Largest number of forecasts in one call of the head. */
  get #batchSize(): number {
    return Math.max(1, Math.floor(FORECAST_BYTES / this.#history.slotBytes));
  }

  #isShort(bytes: number): boolean {
    return this.#runtime.provider === "cpu" && bytes <= BLOCKING_BYTES;
  }

  /**
   * Applies guidance.
   * @param output the outputs of all rows
   * @returns the outputs of all pictures, as a new array
   */
  #guide(output: Float32Array): Float32Array {
    const { guide, branches } = this.#shape;
    const guided = split(output, branches * this.#length).map((rows) =>
      // Copy: the function may return its argument, whose memory the next pass overwrites.
      typeof guide === "function" ? guide(rows.slice()) : combineRows(split(rows, this.#length), guide)
    );
    return guided.length === 1 ? guided[0]! : joinRows(guided);
  }

  /** Returns all features so far, [slots, rows, ...feature], on the host. For recording them. */
  features(): Promise<Float32Array> {
    return this.#history.toArray();
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
