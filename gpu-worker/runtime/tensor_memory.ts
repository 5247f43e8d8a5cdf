// The bytes that a tensor and its views share, and JavaScript's window on them.
import { addressOf } from "./ort_api.ts";
import type { Location } from "./runtime_context.ts";

interface TensorMemoryInit {
  address: bigint;
  byteLength: number;
  location: Location;
  buffer?: ArrayBuffer;
  bufferOffset?: number;
}

export class TensorMemory {
  readonly address: bigint;
  readonly location: Location;
  /** Where the memory begins in `buffer`. */
  readonly bufferOffset: number;
  readonly #byteLength: number;
  readonly #isNative: boolean;
  #buffer: ArrayBuffer | undefined;

  private constructor({ address, byteLength, location, buffer, bufferOffset = 0 }: TensorMemoryInit) {
    this.address = address;
    this.location = location;
    this.bufferOffset = bufferOffset;
    this.#byteLength = byteLength;
    this.#buffer = buffer;
    this.#isNative = buffer === undefined;
  }

  static ofArray({ buffer, byteOffset, byteLength }: ArrayBufferView<ArrayBuffer>): TensorMemory {
    const address = addressOf(new Uint8Array(buffer, byteOffset, byteLength));
    return new TensorMemory({ address, byteLength, location: "cpu", buffer, bufferOffset: byteOffset });
  }

  static ofAddress(address: bigint, byteLength: number, location: Location): TensorMemory {
    return new TensorMemory({ address, byteLength, location });
  }

  /** Only for memory of the CPU. */
  get buffer(): ArrayBuffer {
    return this.#buffer ??= this.#byteLength === 0
      ? new ArrayBuffer(0)
      : Deno.UnsafePointerView.getArrayBuffer(Deno.UnsafePointer.create(this.address)!, this.#byteLength);
  }

  /** Empties the arrays that look at native memory, as it is about to be freed: they must not dangle. */
  close(): void {
    if (this.#isNative) this.#buffer?.transfer(0);
    this.#buffer = undefined;
  }
}
