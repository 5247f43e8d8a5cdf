// The smallest possible graph: it copies its input. On a device it copies tensors to and from host memory,
// and its session provides the device's allocator. Both work the same way for every execution provider.
import { create, toBinary } from "@bufbuild/protobuf";
import type { DType } from "./dtype.ts";
import { ModelProtoSchema } from "./messages/onnx_pb.ts";
import { valueInfoProto } from "./value_info_proto.ts";

/** Returns a ModelProto with an input `source` and an output `target`, both one-dimensional. */
export function identityModel(dtype: DType): Uint8Array {
  const model = create(ModelProtoSchema, {
    irVersion: 10n,
    opsetImport: [{ domain: "", version: 22n }],
    graph: {
      name: "copy",
      node: [{ opType: "Identity", input: ["source"], output: ["target"] }],
      input: [valueInfoProto("source", dtype, ["size"])],
      output: [valueInfoProto("target", dtype, ["size"])],
    },
  });
  return toBinary(ModelProtoSchema, model);
}
