// A tensor that is made on the host and fed to a graph.
import type { Runtime, Tensor } from "../runtime/mod.ts";

export type HostTensor =
  | { dtype: "float32"; dims: readonly number[]; data: Float32Array<ArrayBuffer> }
  | { dtype: "int64"; dims: readonly number[]; data: BigInt64Array<ArrayBuffer> };

/** Creates the tensor over the host's data. The caller disposes of it. */
export function hostTensor(runtime: Runtime, tensor: HostTensor): Tensor {
  return tensor.dtype === "int64"
    ? runtime.tensor("int64", tensor.dims, tensor.data)
    : runtime.tensor("float32", tensor.dims, tensor.data);
}
