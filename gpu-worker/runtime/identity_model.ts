// The smallest graph there is: it copies its input. On a device it carries tensors to and from host memory, and its
// session is where the device's allocator comes from; both work alike for every execution provider.
import { create, toBinary } from "@bufbuild/protobuf";
import type { DType } from "./dtype.ts";
import { ModelProtoSchema } from "./messages/onnx_pb.ts";
import { valueInfoProto } from "./value_info_proto.ts";

/** A ModelProto with an input `source` and an output `target`, both of one dimension. */
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
