// A history with a tensor for each full pass, for providers whose buffers have no addresses within. The trunk
// allocates the feature, and the forecasts are summed up feature by feature on the device. The head then gets
// the forecasts as its history, with weights that select each of them.
import { DTYPE_BYTES } from "../runtime/dtype.ts";
import type { Runtime, Tensor } from "../runtime/mod.ts";
import type { GraphSession } from "../session/session_loader.ts";
import type { FeatureHistory, FeatureHistoryOptions, ForecastFeeds } from "./feature_history.ts";
import { hostFeature, pickRows } from "./host_feature.ts";

export interface SeparateHistoryOptions extends FeatureHistoryOptions {
  /** The graph `featureSum`. */
  featureSum: GraphSession;
}

export class SeparateHistory implements FeatureHistory {
  readonly slots: number;
  readonly slotBytes: number;
  readonly #runtime: Runtime;
  readonly #dims: readonly number[];
  /** Elements of one slot. */
  readonly #length: number;
  readonly #featureSum: GraphSession;
  /** The features, by slot. A slot without a feature is undefined. */
  readonly #features: (Tensor | undefined)[];

  constructor(runtime: Runtime, { slots, dims, dtype, featureSum }: SeparateHistoryOptions) {
    this.#runtime = runtime;
    this.slots = slots;
    this.#dims = dims;
    this.#length = dims.reduce((product, dim) => product * dim, 1);
    this.slotBytes = this.#length * DTYPE_BYTES[dtype];
    this.#featureSum = featureSum;
    this.#features = new Array(slots).fill(undefined);
  }

  /** Returns no slot, as full passes allocate their features. */
  slot(): undefined {}

  store(index: number, feature: Tensor): void {
    this.#features[index]?.[Symbol.dispose]();
    this.#features[index] = feature;
  }

  forecasts(weights: Tensor<"float32">): ForecastFeeds {
    const [steps] = weights.dims as [number];
    return {
      feeds: {},
      compute: async ({ owned, signal }) => ({
        forecast_weights: owned.use(this.#runtime.tensor("float32", [steps, steps], identity(steps))),
        history: owned.use(await this.#sum(weights, signal)),
      }),
    };
  }

  /** Returns the weighted sums over the features, [steps, ...dims]. */
  async #sum(weights: Tensor<"float32">, signal: AbortSignal | undefined): Promise<Tensor> {
    const [steps, count] = weights.dims as [number, number];
    const all = weights.data();
    using partial = new DisposableStack();
    const host = (dims: number[], data: Float32Array<ArrayBuffer>) =>
      partial.use(this.#runtime.tensor("float32", dims, data));
    let sum = host([steps, 1], new Float32Array(steps));
    let history: Tensor = sum;
    for (let slot = 0; slot < count; slot++) {
      const column = host(
        [steps, 1],
        Float32Array.from({ length: steps }, (_, step) => all[step * count + slot]!),
      );
      const { next, history: narrow } = await this.#featureSum.run({
        sum,
        weights: column,
        feature: partial.use(this.#features[slot]!.view(0, [1, this.#length])),
      }, { signal });
      sum[Symbol.dispose]();
      sum = partial.use(next!.as("float32"));
      history = narrow ? partial.use(narrow) : sum;
    }
    return history.view(0, [steps, ...this.#dims]);
  }

  async copyRows(from: FeatureHistory, rows: readonly number[]): Promise<void> {
    if (!(from instanceof SeparateHistory)) return;
    for (const [slot, feature] of from.#features.entries()) {
      if (feature === undefined) continue;
      const data = pickRows(await feature.toArray(), { slots: 1, from: from.#dims[0]!, rows });
      using picked = this.#runtime.tensor(feature.dtype, [1, this.#length], data);
      this.store(slot, await this.#onDevice(picked));
    }
  }

  /** Copies a feature from main memory into a new tensor [...dims] on the device. */
  async #onDevice(feature: Tensor): Promise<Tensor> {
    using zero = this.#runtime.tensor("float32", [1, 1], new Float32Array(1));
    using one = this.#runtime.tensor("float32", [1, 1], Float32Array.of(1));
    using results = new DisposableStack();
    const { next, history } = await this.#featureSum.run({ sum: zero, weights: one, feature });
    for (const result of [next, history]) if (result) results.use(result);
    return (history ?? next!).view(0, this.#dims);
  }

  async toArray(): Promise<Float32Array> {
    const all = new Float32Array(this.#features.length * this.#length);
    for (const [slot, feature] of this.#features.entries()) {
      if (feature) all.set(await hostFeature(feature), slot * this.#length);
    }
    return all;
  }

  [Symbol.dispose](): void {
    for (const feature of this.#features) feature?.[Symbol.dispose]();
    this.#features.fill(undefined);
  }
}

function identity(size: number): Float32Array<ArrayBuffer> {
  const data = new Float32Array(size * size);
  for (let i = 0; i < size; i++) data[i * (size + 1)] = 1;
  return data;
}
