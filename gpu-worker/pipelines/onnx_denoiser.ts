// The sampler's Denoiser on ONNX Runtime: trunk and head sessions around one feature history on the device.
import type { Denoiser, ForecastCall, FullCall, FullResult } from "../../sampler/mod.ts";
import { type DType, DTYPE_BYTES } from "../runtime/dtype.ts";
import type { Runtime, Tensor } from "../runtime/mod.ts";
import type { GraphSession } from "./session_loader.ts";

/** The graphs of a denoiser. */
export interface DenoiserSessions {
  /** Latents, conditioning, forecast_weights, history -> feature, output, relative_error (`featureOutput`). */
  trunk: GraphSession;
  /** forecast_weights, history, conditioning -> output. */
  head: GraphSession;
}

type Feeds = Record<string, Tensor>;

/** What the forecast features of one run of the head may take together. */
const FORECAST_BYTES = 256 * 2 ** 20;

export interface OnnxDenoiserOptions {
  /** Rows that run together, each with its own part of the history: 2 under classifier-free guidance, else 1. */
  branches: number;
  /** Length of one row's latents. */
  latentLength: number;
  /** Full passes that a forecast follows: slots of the history. */
  slots: number;
  /** Shape of the last-block feature without the batch. */
  featureDims: readonly number[];
  /** Element type of the feature. */
  featureType: DType;
  /** Inputs of the trunk, `latents` repeated for each branch. They stay the callee's, valid until the next call. */
  trunkFeeds: (latents: Float32Array, timestep: number) => Feeds;
  /** Conditioning of the head, timesteps * branches rows, step-major. It stays the callee's, valid until the next call. */
  headFeeds: (timesteps: readonly number[]) => Feeds;
  /** Combines the branches' outputs, [branches, latentLength], into one, [latentLength]. */
  guide: (output: Float32Array) => Float32Array;
}

/**
 * Runs full passes and forecasts for one picture. Its memory is the history: slots x branches x feature.
 * The feature of a full pass is written by the trunk straight into its slot and never leaves the device.
 */
export class OnnxDenoiser implements Denoiser, Disposable {
  readonly #runtime: Runtime;
  readonly #sessions: DenoiserSessions;
  readonly #options: OnnxDenoiserOptions;
  readonly #history: Tensor | undefined;
  /** Forecasts in one run of the head. */
  readonly #batch: number;
  /** What a pass feeds that measures nothing. */
  readonly #noWeight: Tensor;
  readonly #noHistory: Tensor;

  constructor(runtime: Runtime, sessions: DenoiserSessions, options: OnnxDenoiserOptions) {
    this.#runtime = runtime;
    this.#sessions = sessions;
    this.#options = options;
    const { slots, branches, featureDims, featureType } = options;
    const featureBytes = featureDims.reduce(
      (product, dim) => product * dim,
      branches * DTYPE_BYTES[featureType],
    );
    this.#batch = Math.max(1, Math.floor(FORECAST_BYTES / featureBytes));
    this.#noWeight = runtime.tensor("float32", [1, 1], new Float32Array(1));
    this.#noHistory = runtime.allocate(featureType, [1, 1, ...featureDims.map(() => 1)]);
    if (slots > 0) this.#history = runtime.allocate(featureType, [slots, branches, ...featureDims]);
  }

  async full({ timestep, latents, slot, check, signal }: FullCall): Promise<FullResult> {
    const { guide, trunkFeeds } = this.#options;
    using feature = slot === undefined ? undefined : this.#slot(slot);
    using weights = check && this.#weights([check]);
    using history = check && this.#slots(check.length);
    const feeds = {
      ...trunkFeeds(latents, timestep),
      forecast_weights: weights ?? this.#noWeight,
      history: history ?? this.#noHistory,
    };
    const results = await this.#sessions.trunk.run(feeds, {
      fetch: ["output", ...feature ? ["feature"] : [], ...check ? ["relative_error"] : []],
      ...feature && { outputs: { feature } },
      signal,
    });
    using output = results["output"]!;
    using error = results["relative_error"];
    return {
      output: guide(await output.as("float32").toArray()),
      ...error && { forecastError: (await error.as("float32").toArray())[0]! },
    };
  }

  async forecast(calls: readonly ForecastCall[], signal?: AbortSignal): Promise<Float32Array[]> {
    const outputs: Float32Array[] = [];
    for (let at = 0; at < calls.length; at += this.#batch) {
      outputs.push(...await this.#forecastBatch(calls.slice(at, at + this.#batch), signal));
    }
    return outputs;
  }

  async #forecastBatch(
    calls: readonly ForecastCall[],
    signal: AbortSignal | undefined,
  ): Promise<Float32Array[]> {
    const { branches, latentLength, guide, headFeeds } = this.#options;
    using weights = this.#weights(calls.map((call) => call.weights));
    using history = this.#slots(calls[0]!.weights.length);
    const feeds = { ...headFeeds(calls.map((call) => call.timestep)), forecast_weights: weights, history };
    const { output } = await this.#sessions.head.run(feeds, { signal });
    using rows = output!;
    const data = await rows.as("float32").toArray();
    const length = branches * latentLength;
    return calls.map((_, i) => guide(data.subarray(i * length, (i + 1) * length)));
  }

  #weights(rows: readonly Float64Array[]): Tensor {
    const anchors = rows[0]!.length;
    const data = new Float32Array(rows.length * anchors);
    for (const [i, row] of rows.entries()) data.set(row, i * anchors);
    return this.#runtime.tensor("float32", [rows.length, anchors], data);
  }

  /** One slot as the trunk's output. */
  #slot(index: number): Tensor {
    const { slots, branches, featureDims } = this.#options;
    const bytes = this.#history!.byteLength / slots;
    return this.#history!.view(index * bytes, [branches, ...featureDims]);
  }

  /** The first `count` slots as the head's input. */
  #slots(count: number): Tensor {
    const { branches, featureDims } = this.#options;
    return this.#history!.view(0, [count, branches, ...featureDims]);
  }

  [Symbol.dispose](): void {
    this.#history?.[Symbol.dispose]();
    this.#noHistory[Symbol.dispose]();
    this.#noWeight[Symbol.dispose]();
  }
}
