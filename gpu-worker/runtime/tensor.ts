// A tensor in main memory or a device's memory, row-major and contiguous. Its creator owns it.
import { type DType, DTYPE_BYTES, ONNX_DATA_TYPE } from "./dtype.ts";
import { NativeHandle } from "./native_handle.ts";
import { out } from "./ort_api.ts";
import type { Location } from "./provider.ts";
import { PROVIDER_TRAITS } from "./provider_traits.ts";
import type { RuntimeContext } from "./runtime_context.ts";
import { TensorMemory } from "./tensor_memory.ts";
import { TYPED_ARRAYS, type TypedArray } from "./typed_array.ts";

/** A runtime's context, with the copies that its tensors make. */
export interface TensorContext extends RuntimeContext {
  /** Copies between locations. Both tensors must have the same dtype and dims. */
  readonly copy: <D extends DType>(source: Tensor<D>, target: Tensor<D>) => Promise<void>;
}

export interface TensorInit<D extends DType> {
  context: TensorContext;
  dtype: D;
  dims: readonly number[];
  /** The OrtValue, which the tensor takes over. */
  handle: NativeHandle;
  memory: TensorMemory;
  /** Offset of the tensor in `memory`, in bytes. */
  byteOffset: number;
}

/** Elements of type `D` in the shape `dims`. The creator disposes of it. */
export class Tensor<D extends DType = DType> implements Disposable {
  /** Type of the elements. */
  readonly dtype: D;
  /** Shape; [] is a scalar. */
  readonly dims: readonly number[];
  /** Memory that holds the elements. */
  readonly location: Location;
  /** Bytes of all elements. */
  readonly byteLength: number;
  readonly #context: TensorContext;
  readonly #handle: NativeHandle;
  readonly #memory: TensorMemory;
  readonly #byteOffset: number;
  #disposed = false;

  /**
   * Use `Runtime` or `Session.run` instead.
   * @internal
   */
  constructor({ context, dtype, dims, handle, memory, byteOffset }: TensorInit<D>) {
    this.#context = context;
    this.dtype = dtype;
    this.dims = dims;
    this.location = memory.location;
    this.byteLength = elementCount(dims) * DTYPE_BYTES[dtype];
    this.#handle = handle;
    this.#memory = memory;
    this.#byteOffset = byteOffset;
  }

  /**
   * The native value.
   * @throws {ReferenceError} after disposal.
   * @internal
   */
  get handle(): NativeHandle {
    if (this.#disposed) throw new ReferenceError(`Cannot use the tensor ${this} as it has been disposed`);
    return this.#handle;
  }

  /**
   * Returns a tensor of the same type over part of this tensor's memory, and keeps that memory alive.
   * @param byteOffset offset from the beginning of this tensor; a multiple of the element's size
   * @example Slot 2 of a history [slots, features]
   * ```ts ignore
   * using slot = history.view(2 * features * 4, [features]);
   * await trunk.run(feeds, { outputs: { feature: slot } });
   * ```
   * @throws {RangeError} if the view would exceed this tensor.
   */
  view(byteOffset: number, dims: readonly number[]): Tensor<D> {
    const parent = this.handle;
    const byteLength = elementCount(dims) * DTYPE_BYTES[this.dtype];
    if (byteOffset < 0 || byteOffset + byteLength > this.byteLength || byteOffset % DTYPE_BYTES[this.dtype]) {
      throw new RangeError(
        `Cannot view [${dims}] at byte ${byteOffset} as it does not lie within ${this} of ` +
          `${this.byteLength} bytes`,
      );
    }
    const context = this.#context;
    const memory = this.#memory;
    if (byteOffset > 0 && !PROVIDER_TRAITS[memory.location].hasAddresses) {
      throw new RangeError(
        `Cannot view a tensor at an offset as ${memory.location} buffers have no addresses`,
      );
    }
    const offset = this.#byteOffset + byteOffset;
    const pointer = wrapMemory({ context, dtype: this.dtype, dims, memory, byteOffset: offset });
    const handle = new NativeHandle("Value", pointer, {
      parents: [parent],
      release: context.api.ReleaseValue,
    });
    return new Tensor({ context, dtype: this.dtype, dims, handle, memory, byteOffset: offset });
  }

  /**
   * Returns the elements without copying them. If ONNX Runtime owns the memory (outputs that it allocated),
   * the array becomes empty when the tensor and its views are disposed of.
   * @throws {TypeError} if the elements are not in main memory.
   */
  data(): TypedArray<D> {
    void this.handle;
    if (this.location !== "cpu") {
      throw new TypeError(
        `Cannot read ${this} in place as it is in '${this.location}' memory: use toArray()`,
      );
    }
    const start = this.#memory.bufferOffset + this.#byteOffset;
    return new TYPED_ARRAYS[this.dtype](this.#memory.buffer, start, elementCount(this.dims));
  }

  /** Copies the elements into a new array. */
  async toArray(): Promise<TypedArray<D>> {
    const array = new TYPED_ARRAYS[this.dtype](new ArrayBuffer(this.byteLength));
    if (this.location === "cpu") {
      copyElements(this.data(), array);
      return array;
    }
    using target = tensorOver(this.#context, this.dtype, this.dims, array);
    await this.#context.copy<D>(this, target);
    return array;
  }

  /**
   * Overwrites the elements.
   * @throws {TypeError | RangeError} if `source` is not an array of this dtype and size.
   */
  async write(source: TypedArray<D>): Promise<void> {
    using wrapped = tensorOver(this.#context, this.dtype, this.dims, source);
    if (this.location === "cpu") copyElements(source, this.data());
    else await this.#context.copy<D>(wrapped, this);
  }

  /** Returns this tensor with its dtype known to the compiler. @throws {TypeError} if the dtype differs. */
  as<E extends DType>(dtype: E): Tensor<E> {
    if ((this.dtype as DType) !== dtype) throw new TypeError(`Cannot use ${this} as ${dtype}`);
    return this as unknown as Tensor<E>;
  }

  /** Returns type and shape for errors. */
  toString(): string {
    return `${this.dtype} [${this.dims}]`;
  }

  /** Releases the memory, once no view and no run needs it. May be called repeatedly. */
  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#handle.release();
  }
}

/**
 * Creates a CPU tensor over `data` without copying it.
 * @throws {TypeError} if the array type does not match `dtype`.
 * @throws {RangeError} if its length does not match `dims`.
 */
export function tensorOver<D extends DType>(
  context: TensorContext,
  dtype: D,
  dims: readonly number[],
  data: TypedArray<D>,
): Tensor<D> {
  const array = TYPED_ARRAYS[dtype];
  if (data.constructor !== array) {
    throw new TypeError(
      `Cannot make a tensor of ${dtype} as its data must be a ${array.name}: ` +
        `current value is a ${data?.constructor?.name}`,
    );
  }
  const count = elementCount(dims);
  if (data.length !== count) {
    throw new RangeError(
      `Cannot make a tensor [${dims}] as its data must have ${count} elements: ` +
        `current value is ${data.length}`,
    );
  }
  const memory = TensorMemory.ofArray(data);
  const pointer = wrapMemory({ context, dtype, dims, memory, byteOffset: 0 });
  const handle = new NativeHandle("Value", pointer, { keepAlive: data, release: context.api.ReleaseValue });
  return new Tensor({ context, dtype, dims: [...dims], handle, memory, byteOffset: 0 });
}

/** Takes over an OrtValue that ONNX Runtime allocated. */
export function tensorOf<D extends DType>(
  context: TensorContext,
  pointer: bigint,
  { dtype, dims, location }: { dtype: D; dims: readonly number[]; location: Location },
): Tensor<D> {
  const { api, turns } = context;
  const byteLength = elementCount(dims) * DTYPE_BYTES[dtype];
  const locate = () => out((cell) => api.GetTensorMutableData(pointer, cell));
  const memory = TensorMemory.ofNative(locate, byteLength, location);
  const release = () => {
    memory.close();
    turns.release(() => api.ReleaseValue(pointer));
  };
  const handle = new NativeHandle("Value", pointer, { parents: [context.env], release });
  return new Tensor({ context, dtype, dims, handle, memory, byteOffset: 0 });
}

interface Wrapping {
  context: RuntimeContext;
  dtype: DType;
  dims: readonly number[];
  memory: TensorMemory;
  byteOffset: number;
}

function wrapMemory({ context, dtype, dims, memory, byteOffset }: Wrapping): bigint {
  const shape = BigInt64Array.from(dims, BigInt);
  const byteLength = elementCount(dims) * DTYPE_BYTES[dtype];
  const info = context.memoryInfo(memory.location).pointer;
  const address = memory.address + BigInt(byteOffset);
  return out((cell) =>
    context.api.CreateTensorWithDataAsOrtValue(
      info,
      address,
      byteLength,
      shape,
      dims.length,
      ONNX_DATA_TYPE[dtype],
      cell,
    )
  );
}

/**
 * Returns the number of elements of a shape. @throws {RangeError} if a dimension is not a whole number >= 0.
 */
export function elementCount(dims: readonly number[]): number {
  let count = 1;
  for (const dim of dims) {
    if (!Number.isSafeInteger(dim) || dim < 0) {
      throw new RangeError(`Cannot use the shape [${dims}] as every dimension must be a whole number >= 0`);
    }
    count *= dim;
  }
  return count;
}

function copyElements<D extends DType>(source: TypedArray<D>, target: TypedArray<D>): void {
  const bytes = new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  new Uint8Array(target.buffer, target.byteOffset, target.byteLength).set(bytes);
}
