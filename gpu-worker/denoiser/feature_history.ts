// The features of full passes, on the device: one block of memory with a slot for each pass.
// The trunk writes a slot in place and the head reads it in place. No provider copies a
// feature to the host. The history owns the tensors it returns.
import { fromBfloat16 } from "../runtime/bfloat16.ts";
import { type DType, DTYPE_BYTES } from "../runtime/dtype.ts";
import type { Runtime, Tensor } from "../runtime/mod.ts";

export interface FeatureHistoryOptions {
  /** Number of features to keep; 0 keeps none. */
  slots: number;
  /** Shape of one slot: branches, then the feature's dimensions. */
  dims: readonly number[];
  dtype: DType;
}

export class FeatureHistory implements Disposable {
  /** Bytes of one slot. */
  readonly slotBytes: number;
  readonly #dims: readonly number[];
  readonly #block: Tensor | undefined;
  /** View of each slot, by its index. */
  readonly #slots: Tensor[] = [];
  /** View of the first n slots, by n. */
  readonly #filled: Tensor[] = [];
  readonly #stack = new DisposableStack();

  /** @throws {RangeError} if the provider cannot write into the middle of a block. */
  constructor(runtime: Runtime, { slots, dims, dtype }: FeatureHistoryOptions) {
    this.#dims = dims;
    this.slotBytes = dims.reduce((product, dim) => product * dim, DTYPE_BYTES[dtype]);
    if (slots > 1 && runtime.provider === "webgpu") {
      throw new RangeError(
        `Cannot keep ${slots} features on webgpu as its buffers have no addresses within: 'method' must be none`,
      );
    }
    if (slots > 0) this.#block = this.#stack.use(runtime.allocate(dtype, [slots, ...dims]));
  }

  /** Returns one slot, [...dims], for the trunk to write into. */
  slot(index: number): Tensor {
    return this.#slots[index] ??= this.#view(index * this.slotBytes, this.#dims);
  }

  /** Returns the first `count` slots, [count, ...dims]. */
  filled(count: number): Tensor {
    return this.#filled[count] ??= this.#view(0, [count, ...this.#dims]);
  }

  #view(byteOffset: number, dims: readonly number[]): Tensor {
    return this.#stack.use(this.#block!.view(byteOffset, dims));
  }

  /** Fills all slots with rows of a history with as many slots. `rows` are the rows' indices there. */
  async copyRows(from: FeatureHistory, rows: readonly number[]): Promise<void> {
    const [source, target] = [from.#block, this.#block];
    if (source === undefined || target === undefined) return;
    const all = await source.toArray();
    const length = all.length / (source.dims[0]! * source.dims[1]!);
    const picked = all.slice(0, target.byteLength / all.BYTES_PER_ELEMENT);
    for (let slot = 0; slot < target.dims[0]!; slot++) {
      for (const [row, index] of rows.entries()) {
        const start = (slot * source.dims[1]! + index) * length;
        const part = all.subarray(start, start + length) as typeof picked;
        picked.set(part as never, (slot * rows.length + row) * length);
      }
    }
    await target.write(picked);
  }

  /** Copies all slots to the host as float32. For recording features; sampling never needs it. */
  async toArray(): Promise<Float32Array> {
    const block = this.#block;
    if (block === undefined) return new Float32Array();
    const values = await block.toArray();
    return block.dtype === "bfloat16"
      ? fromBfloat16(values as Uint16Array)
      : Float32Array.from(values as Float32Array);
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}
