// The smallest graph there is: it copies its input. On a device it carries tensors to and from host memory, and its
// session is where the device's allocator comes from; both work alike for every execution provider.
import onnxProto from "onnx-proto";
import { type DType, ONNX_DATA_TYPE } from "./dtype.ts";

const { onnx } = onnxProto;

/** A ModelProto with an input `source` and an output `target`, both of one dimension. */
export function identityModel(dtype: DType): Uint8Array {
  const value = (name: string) => ({
    name,
    type: { tensorType: { elemType: ONNX_DATA_TYPE[dtype], shape: { dim: [{ dimParam: "size" }] } } },
  });
  const model = onnx.ModelProto.create({
    irVersion: 10,
    opsetImport: [{ domain: "", version: 22 }],
    graph: {
      name: "copy",
      node: [{ opType: "Identity", input: ["source"], output: ["target"] }],
      input: [value("source")],
      output: [value("target")],
    },
  });
  return onnx.ModelProto.encode(model).finish();
}
