// The memory that a tensor and its views share, and JavaScript's view of it.
import { addressOf } from "./ort_api.ts";
import type { Location } from "./provider.ts";

interface TensorMemoryInit {
  locate: () => bigint;
  byteLength: number;
  location: Location;
  buffer?: ArrayBuffer;
  bufferOffset?: number;
}

export class TensorMemory {
  readonly location: Location;
  /** Offset of the memory in `buffer`, in bytes. */
  readonly bufferOffset: number;
  readonly #byteLength: number;
  readonly #isNative: boolean;
  readonly #locate: () => bigint;
  #address: bigint | undefined;
  #buffer: ArrayBuffer | undefined;

  private constructor({ locate, byteLength, location, buffer, bufferOffset = 0 }: TensorMemoryInit) {
    this.location = location;
    this.bufferOffset = bufferOffset;
    this.#locate = locate;
    this.#byteLength = byteLength;
    this.#buffer = buffer;
    this.#isNative = buffer === undefined;
  }

  /** Wraps JavaScript memory. Users of the address must keep the array alive. */
  static ofArray(array: ArrayBufferView<ArrayBuffer>): TensorMemory {
    const { buffer, byteOffset: bufferOffset, byteLength } = array;
    return new TensorMemory({
      locate: () => addressOf(array),
      byteLength,
      location: "cpu",
      buffer,
      bufferOffset,
    });
  }

  /** Wraps memory of ONNX Runtime. `locate` is called when the address is first needed. */
  static ofNative(locate: () => bigint, byteLength: number, location: Location): TensorMemory {
    return new TensorMemory({ locate, byteLength, location });
  }

  get address(): bigint {
    return this.#address ??= this.#locate();
  }

  /** The memory as an ArrayBuffer. Only for main memory. */
  get buffer(): ArrayBuffer {
    return this.#buffer ??= this.#byteLength === 0
      ? new ArrayBuffer(0)
      : Deno.UnsafePointerView.getArrayBuffer(Deno.UnsafePointer.create(this.address)!, this.#byteLength);
  }

  /** Empties the arrays over native memory before it is freed, so that they do not dangle. */
  close(): void {
    if (this.#isNative) this.#buffer?.transfer(0);
    this.#buffer = undefined;
  }
}
