// Inputs and outputs of the head's calls. Announced forecasts are prepared ahead: weights of history and
// outputs, the modulation, and memory for the outputs.
import type { ForecastCall, ForecastOptions, PlannedForecasts } from "../../sampler/mod.ts";
import type { DirectRun, Runtime, Tensor } from "../runtime/mod.ts";
import {
  type DenoiserFeeds,
  type DenoiserSessions,
  type DenoiserShape,
  type Feeds,
  rowsOf,
} from "./denoiser_shape.ts";
import type { FeatureHistory, ForecastFeeds } from "./feature_history.ts";
import { joinRows, oneByOne } from "./combine_rows.ts";

/** The prepared inputs and output of one call of the head. */
export interface HeadRun {
  /** The sums that were announced; compared by identity. */
  sums: readonly Float64Array[] | undefined;
  /** All inputs, except the ones that `compute` returns. */
  feeds: Feeds;
  /** Returns the inputs that depend on the history's contents. @default `feeds` is complete */
  compute: ForecastFeeds["compute"];
  output: Tensor<"float32">;
  /**
   * Runs the call at once, on the calling thread. Set if the
   * forecasts were announced, are short, and the graph stays loaded.
   */
  direct?: DirectRun | undefined;
}

export type ReadyHeadRun = HeadRun & { direct: DirectRun };

export interface HeadRunsInit {
  sessions: DenoiserSessions;
  shape: DenoiserShape;
  history: FeatureHistory;
  feeds: DenoiserFeeds;
  /** Whether forecasts of this size, in bytes, are faster on the calling thread. */
  isShort: (bytes: number) => boolean;
}

export class HeadRuns implements Disposable {
  readonly #runtime: Runtime;
  readonly #init: HeadRunsInit;
  /** Number of rows: branches of all pictures. */
  readonly #rows: number;
  readonly #stack = new DisposableStack();
  /** Prepared calls, by the announced forecasts' array. */
  readonly #prepared = new Map<readonly ForecastCall[], HeadRun>();
  /** The modulation of all steps, step-major. */
  #modulation: Feeds | undefined;

  constructor(runtime: Runtime, init: HeadRunsInit) {
    this.#runtime = runtime;
    this.#init = init;
    this.#rows = rowsOf(init.shape);
  }

  /** Prepares the head's call for each of these forecasts. */
  async prepare(forecasts: readonly PlannedForecasts[], signal?: AbortSignal): Promise<void> {
    for (const { calls, sums } of forecasts) {
      const run = await this.#make(calls, { sums, signal, stack: this.#stack });
      this.#prepared.set(calls, { ...run, direct: this.#direct(run) });
    }
  }

  /** Returns an announced call that can run at once on this thread, if there is one. */
  ready(calls: readonly ForecastCall[], sums: ForecastOptions["sums"]): ReadyHeadRun | undefined {
    const prepared = this.#prepared.get(calls);
    return prepared?.direct && prepared.sums === sums ? prepared as ReadyHeadRun : undefined;
  }

  /**
   * Returns the prepared call, or prepares one now.
   * @param options.stack owns the tensors that are created for this call only
   */
  async of(
    calls: readonly ForecastCall[],
    options: ForecastOptions & { stack: DisposableStack },
  ): Promise<HeadRun> {
    const prepared = this.#prepared.get(calls);
    return prepared && prepared.sums === options.sums ? prepared : await this.#make(calls, options);
  }

  #direct({ feeds, compute, output }: HeadRun): DirectRun | undefined {
    const { sessions: { head }, history, isShort } = this.#init;
    if (!head.prepare || compute) return undefined;
    const [steps] = feeds["forecast_weights"]!.dims;
    if (!isShort(steps! * history.slotBytes)) return undefined;
    return this.#stack.use(head.prepare(feeds, { fetch: ["output"], outputs: { output } }));
  }

  async #make(
    calls: readonly ForecastCall[],
    { sums, signal, stack }: ForecastOptions & { stack: DisposableStack },
  ): Promise<HeadRun> {
    const { shape, history } = this.#init;
    const outputWeights = this.#outputWeights(calls.length, sums);
    const outputDims = [outputWeights.length, ...shape.outputDims];
    const output = new Float32Array(outputDims.reduce((product, dim) => product * dim, 1));
    const forecasts = history.forecasts(stack.use(this.#weights(calls.map(({ weights }) => weights))));
    return {
      sums,
      compute: forecasts.compute,
      feeds: {
        ...await this.#modulationOf(calls, { stack, signal }),
        ...forecasts.feeds,
        output_weights: stack.use(this.#weights(outputWeights)),
      },
      output: stack.use(this.#runtime.tensor("float32", outputDims, output)),
    };
  }

  /** Returns, for each output of the head, its weights over the rows of all calls. */
  #outputWeights(calls: number, sums: readonly Float64Array[] | undefined): Float64Array[] {
    const { guide } = this.#init.shape;
    // Guidance that is more than a sum runs on the host, and so do the sums after it.
    if (typeof guide === "function") return oneByOne(calls * this.#rows);
    return (sums ?? oneByOne(calls)).flatMap((weights) => this.#guidedWeights(weights, guide));
  }

  /**
   * Returns, for each picture, its weights over the rows of all calls, guidance included.
   * @param weights over the calls
   */
  #guidedWeights(weights: Float64Array, guide: readonly number[]): Float64Array[] {
    return Array.from({ length: this.#rows / guide.length }, (_, picture) => {
      const byRow = new Float64Array(weights.length * this.#rows);
      for (const [call, weight] of weights.entries()) {
        const first = call * this.#rows + picture * guide.length;
        for (const [branch, factor] of guide.entries()) byRow[first + branch] = weight * factor;
      }
      return byRow;
    });
  }

  async #modulationOf(
    calls: readonly ForecastCall[],
    { stack, signal }: { stack: DisposableStack; signal: AbortSignal | undefined },
  ): Promise<Feeds> {
    const modulation = await this.#modulate(signal);
    const rows = calls.length * this.#rows;
    const feeds: Feeds = {};
    for (const name in modulation) {
      const tensor = modulation[name]!;
      const [all, ...dims] = tensor.dims;
      const start = calls[0]!.step * this.#rows * tensor.byteLength / all!;
      feeds[name] = stack.use(tensor.view(start, [rows, ...dims]));
    }
    return feeds;
  }

  /** Returns the modulation of all steps. It is computed once. */
  async #modulate(signal: AbortSignal | undefined): Promise<Feeds> {
    const { isShort, feeds, sessions: { modulation } } = this.#init;
    if (modulation === undefined) return {};
    if (this.#modulation === undefined) {
      const outputs = this.#modulationOutputs();
      const blocking = isShort(outputs["scale"]!.byteLength);
      await modulation.run(feeds.modulationFeeds!(), { outputs, signal, blocking });
      this.#modulation = outputs;
    }
    return this.#modulation;
  }

  #modulationOutputs(): Feeds {
    const { featureDims, featureType, steps } = this.#init.shape;
    const rows = steps * this.#rows;
    const features = featureDims.at(-1)!;
    const allocate = (dims: number[]) =>
      this.#stack.use(this.#runtime.allocateAddressable(featureType, dims));
    return { scale: allocate([rows, 1, features]), shift: allocate([rows, features]) };
  }

  #weights(rows: readonly Float64Array[]): Tensor<"float32"> {
    return this.#runtime.tensor("float32", [rows.length, rows[0]!.length], joinRows(rows));
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}
