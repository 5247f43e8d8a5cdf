// The JavaScript array for each element type. bfloat16 has none: its bits stand in a Uint16Array.
import type { DType } from "./dtype.ts";

export interface TypedArrays {
  float32: Float32Array<ArrayBuffer>;
  float16: Float16Array<ArrayBuffer>;
  bfloat16: Uint16Array<ArrayBuffer>;
  float64: Float64Array<ArrayBuffer>;
  int64: BigInt64Array<ArrayBuffer>;
  int32: Int32Array<ArrayBuffer>;
  uint8: Uint8Array<ArrayBuffer>;
  int8: Int8Array<ArrayBuffer>;
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
  float64: Float64Array,
  int64: BigInt64Array,
  int32: Int32Array,
  uint8: Uint8Array,
  int8: Int8Array,
  bool: Uint8Array,
};
