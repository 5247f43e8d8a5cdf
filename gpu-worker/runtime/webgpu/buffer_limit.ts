// The largest buffer of an adapter, and weights that do not fit into one.
import { DeviceLimitError } from "../device_limit_error.ts";
import { type DType, DTYPE_BYTES, ONNX_DATA_TYPE } from "../dtype.ts";
import type { GraphProto } from "../messages/onnx_pb.ts";

/** Bytes of a buffer that every adapter has, by the standard's default of maxBufferSize. */
export const GUARANTEED_BYTES = 256 * 2 ** 20;

/** A weight as it lies on the device. */
interface DeviceWeight {
  name: string;
  bytes: number;
}

/**
 * Returns the largest weight in the type that its nodes compute in: casts of weights are folded at load.
 * Weights that stay in bfloat16 are not counted. WebGPU has no kernel for them, so they stay on the CPU.
 */
export function largestWeight(graph: GraphProto): DeviceWeight {
  const castTo = new Map<string, number>();
  for (const { opType, input, attribute } of graph.node) {
    if (opType === "Cast") castTo.set(input[0]!, Number(attribute.find(({ name }) => name === "to")!.i));
  }
  let largest: DeviceWeight = { name: "", bytes: 0 };
  for (const { name, dims, dataType } of graph.initializer) {
    const code = castTo.get(name) ?? dataType;
    const bytes = tensorBytes(dims, code);
    if (code !== ONNX_DATA_TYPE.bfloat16 && bytes > largest.bytes) largest = { name, bytes };
  }
  return largest;
}

/**
 * Checks a weight against the adapter's largest buffer.
 * @throws {DeviceLimitError} if `weight` is larger than a buffer of the adapter.
 */
export function assertFits({ name, bytes }: DeviceWeight, limit: number, graph: string): void {
  if (bytes <= limit) return;
  throw new DeviceLimitError(
    `Cannot load '${graph}' on WebGPU: '${name}' must fit into one buffer of the adapter, which holds ` +
      `${limit} bytes, but takes ${bytes}. Try --weights int8 (for linear layers), ` +
      "--dtype float16 or --device cpu.",
  );
}

/** Returns the bytes of a tensor of a type by ONNX's code. */
export function tensorBytes(dims: readonly bigint[], code: number): number {
  const dtype = (Object.keys(ONNX_DATA_TYPE) as DType[]).find((dtype) => ONNX_DATA_TYPE[dtype] === code);
  return dims.reduce((product, dim) => product * Number(dim), dtype === undefined ? 1 : DTYPE_BYTES[dtype]);
}
