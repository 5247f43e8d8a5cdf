// Declares an input or output of an ONNX graph.
import { create } from "@bufbuild/protobuf";
import { type DType, ONNX_DATA_TYPE } from "./dtype.ts";
import { type ValueInfoProto, ValueInfoProtoSchema } from "./messages/onnx_pb.ts";

/**
 * Returns the declaration of a tensor. A dimension is a size, or the name of a size that each run chooses.
 */
export function valueInfoProto(
  name: string,
  dtype: DType,
  dims: readonly (number | string)[],
): ValueInfoProto {
  const dim = dims.map((dim) => ({
    value: typeof dim === "number"
      ? { case: "dimValue" as const, value: BigInt(dim) }
      : { case: "dimParam" as const, value: dim },
  }));
  const value = { elemType: ONNX_DATA_TYPE[dtype], shape: { dim } };
  return create(ValueInfoProtoSchema, { name, type: { value: { case: "tensorType", value } } });
}
