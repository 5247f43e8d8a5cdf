// The JavaScript array for each element type. bfloat16 has none; its bits are in a Uint16Array.
import type { DType } from "./dtype.ts";

/** Array class by element type. */
export interface TypedArrays {
  /** IEEE single */
  float32: Float32Array<ArrayBuffer>;
  /** IEEE half */
  float16: Float16Array<ArrayBuffer>;
  /** Upper halves of float32, as bits */
  bfloat16: Uint16Array<ArrayBuffer>;
  /** 8-bit floats, as bits */
  float8_e4m3fn: Uint8Array<ArrayBuffer>;
  /** 8-bit floats, as bits */
  float8_e5m2: Uint8Array<ArrayBuffer>;
  /** IEEE double */
  float64: Float64Array<ArrayBuffer>;
  /** 64-bit integers */
  int64: BigInt64Array<ArrayBuffer>;
  /** 32-bit integers */
  int32: Int32Array<ArrayBuffer>;
  /** Bytes */
  uint8: Uint8Array<ArrayBuffer>;
  /** Signed bytes */
  int8: Int8Array<ArrayBuffer>;
  /** 0 or 1 */
  bool: Uint8Array<ArrayBuffer>;
}

/** The array that holds elements of `D`. */
export type TypedArray<D extends DType = DType> = TypedArrays[D];

interface TypedArrayConstructor<D extends DType> {
  readonly name: string;
  new (buffer: ArrayBuffer, byteOffset?: number, length?: number): TypedArray<D>;
}

/** Constructors by element type. */
export const TYPED_ARRAYS: { readonly [D in DType]: TypedArrayConstructor<D> } = {
  float32: Float32Array,
  float16: Float16Array,
  bfloat16: Uint16Array,
  float8_e4m3fn: Uint8Array,
  float8_e5m2: Uint8Array,
  float64: Float64Array,
  int64: BigInt64Array,
  int32: Int32Array,
  uint8: Uint8Array,
  int8: Int8Array,
  bool: Uint8Array,
};
