// Reads a graph's declared inputs and outputs.
import { type DType, ONNX_DATA_TYPE } from "./dtype.ts";
import { readCString } from "./c_string.ts";
import { type OrtApi, out } from "./ort_api.ts";

/** A dimension: its size, the name of a size that each run chooses, or null if unnamed. */
export type DeclaredDim = number | string | null;

/** An input or output as its graph declares it. */
export interface ValueInfo {
  /** Name in the graph. */
  readonly name: string;
  /** Type of the elements. */
  readonly dtype: DType;
  /** Shape. */
  readonly dims: readonly DeclaredDim[];
}

const DTYPES = new Map(Object.entries(ONNX_DATA_TYPE).map(([dtype, code]) => [code, dtype as DType]));

/** Returns type and shape of an OrtValue. */
export function readValueInfo(api: OrtApi, value: bigint): { dtype: DType; dims: number[] } {
  const info = out((cell) => api.GetTensorTypeAndShape(value, cell));
  try {
    const { dtype, sizes } = readTensorInfo(api, info);
    return { dtype, dims: Array.from(sizes, Number) };
  } finally {
    api.ReleaseTensorTypeAndShapeInfo(info);
  }
}

/** Returns a session's declared inputs or outputs, in order. `allocator` must be the default allocator. */
export function readDeclared(
  api: OrtApi,
  session: bigint,
  { kind, allocator }: { kind: "Input" | "Output"; allocator: bigint },
): ValueInfo[] {
  const count = Number(out((cell) => api[`SessionGet${kind}Count`](session, cell)));
  return Array.from({ length: count }, (_, i) => {
    const text = out((cell) => api[`SessionGet${kind}Name`](session, i, allocator, cell));
    const name = readCString(text);
    api.AllocatorFree(allocator, text);
    const type = out((cell) => api[`SessionGet${kind}TypeInfo`](session, i, cell));
    try {
      const info = out((cell) => api.CastTypeInfoToTensorInfo(type, cell));
      if (info === 0n) throw new TypeError(`Cannot use the graph as '${name}' is not a tensor`);
      const { dtype, sizes } = readTensorInfo(api, info);
      const names = new BigUint64Array(sizes.length);
      api.GetSymbolicDimensions(info, names, sizes.length);
      const dims = Array.from(sizes, (size, i) => size >= 0n ? Number(size) : readCString(names[i]!) || null);
      return { name, dtype, dims };
    } finally {
      api.ReleaseTypeInfo(type);
    }
  });
}

/**
 * Reads an OrtTensorTypeAndShapeInfo. Free sizes are -1. @throws {TypeError} for unsupported element types.
 */
function readTensorInfo(api: OrtApi, info: bigint): { dtype: DType; sizes: BigInt64Array } {
  const code = Number(out((cell) => api.GetTensorElementType(info, cell)));
  const dtype = DTYPES.get(code);
  if (dtype === undefined) throw new TypeError(`Cannot use a tensor of ONNX data type ${code}`);
  const rank = Number(out((cell) => api.GetDimensionsCount(info, cell)));
  const sizes = new BigInt64Array(rank);
  api.GetDimensions(info, sizes, rank);
  return { dtype, sizes };
}
