import { type DType, DTYPE_BYTES } from "../runtime/dtype.ts";

/** Returns the bits of a small constant. @throws {TypeError} for a type that no constant has. */
export function arrayOf(dtype: DType, data: readonly number[]) {
  switch (dtype) {
    case "float32":
      return Float32Array.from(data);
    case "float64":
      return Float64Array.from(data);
    case "int64":
      return BigInt64Array.from(data, BigInt);
    case "int32":
      return Int32Array.from(data);
    case "uint8":
      return Uint8Array.from(data);
    default:
      throw new TypeError(`Cannot make a constant of ${dtype} (${DTYPE_BYTES[dtype]} bytes) in a graph`);
  }
}
