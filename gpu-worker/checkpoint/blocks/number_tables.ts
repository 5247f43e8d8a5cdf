// Tables that widen 8-bit and 16-bit floats to float32, for loops over millions of weights.
import type { DType } from "../../runtime/dtype.ts";

const tables = new Map<DType, Float32Array>();

/** Returns the value of every bit pattern of `dtype`, in float32, as PyTorch converts it. */
export function numberTable(dtype: "float16" | "bfloat16" | "float8_e4m3fn" | "float8_e5m2"): Float32Array {
  let table = tables.get(dtype);
  if (table === undefined) tables.set(dtype, table = TABLES[dtype]());
  return table;
}

const TABLES = {
  float16: () => Float32Array.from(new Float16Array(allBits().buffer)),
  bfloat16: () => new Float32Array(Uint32Array.from(allBits(), (bits) => bits << 16).buffer),
  // The upper half of a float16.
  float8_e5m2: () =>
    Float32Array.from(new Float16Array(Uint16Array.from({ length: 256 }, (_, bits) => bits << 8).buffer)),
  float8_e4m3fn: () => Float32Array.from({ length: 256 }, (_, bits) => fromE4m3fn(bits)),
};

function allBits(): Uint16Array<ArrayBuffer> {
  return Uint16Array.from({ length: 65536 }, (_, bits) => bits);
}

/** Has no infinities. All ones are NaN (arXiv 2209.05433). */
function fromE4m3fn(bits: number): number {
  const sign = bits & 0x80 ? -1 : 1;
  const [exponent, mantissa] = [(bits >> 3) & 15, bits & 7];
  if (exponent === 15 && mantissa === 7) return NaN;
  return sign * (exponent === 0 ? mantissa * 2 ** -9 : (1 + mantissa / 8) * 2 ** (exponent - 7));
}
