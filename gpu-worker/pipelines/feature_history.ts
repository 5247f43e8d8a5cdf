// The features of full passes on the device: one block of memory, a slot a pass, written by the trunk and read by the head in
// place. Whatever the provider, nothing of a feature's size crosses to the host.
import { fromBfloat16 } from "../runtime/bfloat16.ts";
import { type DType, DTYPE_BYTES } from "../runtime/dtype.ts";
import type { Runtime, Tensor } from "../runtime/mod.ts";

export interface FeatureHistoryOptions {
  /** 0 keeps nothing. */
  slots: number;
  /** Shape of one slot: branches, then the feature's. */
  dims: readonly number[];
  dtype: DType;
}

export class FeatureHistory implements Disposable {
  /** Of one slot. */
  readonly slotBytes: number;
  readonly #dims: readonly number[];
  readonly #block: Tensor | undefined;
  /** What `filled` returned last. */
  #filled: Tensor | undefined;

  /** @throws {RangeError} if the provider cannot write into the middle of a block. */
  constructor(runtime: Runtime, { slots, dims, dtype }: FeatureHistoryOptions) {
    this.#dims = dims;
    this.slotBytes = dims.reduce((product, dim) => product * dim, DTYPE_BYTES[dtype]);
    if (slots > 1 && runtime.provider === "webgpu") {
      throw new RangeError(
        `Cannot keep ${slots} features on webgpu as its buffers have no addresses within: 'method' must be none`,
      );
    }
    if (slots > 0) this.#block = runtime.allocate(dtype, [slots, ...dims]);
  }

  /** One slot, [...dims], for the trunk to write into; the caller's to dispose of. */
  slot(index: number): Tensor {
    return this.#block!.view(index * this.slotBytes, this.#dims);
  }

  /** The first `count` slots, [count, ...dims]; the history's own, until another number is asked for. */
  filled(count: number): Tensor {
    // A gap and the full pass behind it ask for the same.
    if (this.#filled?.dims[0] === count) return this.#filled;
    this.#filled?.[Symbol.dispose]();
    return this.#filled = this.#block!.view(0, [count, ...this.#dims]);
  }

  /** All slots on the host, in float32: to record them, not to sample. */
  async toArray(): Promise<Float32Array> {
    const block = this.#block;
    if (block === undefined) return new Float32Array();
    const values = await block.toArray();
    return block.dtype === "bfloat16"
      ? fromBfloat16(values as Uint16Array)
      : Float32Array.from(values as Float32Array);
  }

  [Symbol.dispose](): void {
    this.#filled?.[Symbol.dispose]();
    this.#block?.[Symbol.dispose]();
  }
}
