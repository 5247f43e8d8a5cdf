// A history in one block of memory with a slot for each full pass. The trunk writes a slot in
// place and the head reads the block in place.
import { DTYPE_BYTES } from "../runtime/dtype.ts";
import type { Runtime, Tensor } from "../runtime/mod.ts";
import type { FeatureHistory, FeatureHistoryOptions, ForecastFeeds } from "./feature_history.ts";
import { hostFeature, pickRows } from "./host_feature.ts";

export class BlockHistory implements FeatureHistory {
  readonly slots: number;
  readonly slotBytes: number;
  readonly #dims: readonly number[];
  readonly #block: Tensor | undefined;
  /** View of each slot, by its index. */
  readonly #slots: Tensor[] = [];
  /** View of the first n slots, by n. */
  readonly #filled: Tensor[] = [];
  readonly #stack = new DisposableStack();

  constructor(runtime: Runtime, { slots, dims, dtype }: FeatureHistoryOptions) {
    this.slots = slots;
    this.#dims = dims;
    this.slotBytes = dims.reduce((product, dim) => product * dim, DTYPE_BYTES[dtype]);
    if (slots > 0) this.#block = this.#stack.use(runtime.allocate(dtype, [slots, ...dims]));
  }

  slot(index: number): Tensor {
    return this.#slots[index] ??= this.#view(index * this.slotBytes, this.#dims);
  }

  store(): never {
    throw new TypeError("Cannot store a feature as full passes write into the block");
  }

  forecasts(weights: Tensor<"float32">): ForecastFeeds {
    const count = weights.dims[1]!;
    const history = this.#filled[count] ??= this.#view(0, [count, ...this.#dims]);
    return { feeds: { forecast_weights: weights, history } };
  }

  async copyRows(from: FeatureHistory, rows: readonly number[]): Promise<void> {
    const block = this.#block;
    if (block === undefined || !(from instanceof BlockHistory) || from.#block === undefined) return;
    const picked = pickRows(await from.#block.toArray(), { slots: this.slots, from: from.#dims[0]!, rows });
    await block.write(picked);
  }

  async toArray(): Promise<Float32Array> {
    return this.#block === undefined ? new Float32Array() : await hostFeature(this.#block);
  }

  #view(byteOffset: number, dims: readonly number[]): Tensor {
    return this.#stack.use(this.#block!.view(byteOffset, dims));
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}
