// Tiny ONNX models for the tests of the runtime.
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type DType, ONNX_DATA_TYPE } from "../../../gpu-worker/runtime/dtype.ts";
import {
  AttributeProto_AttributeType,
  type AttributeProtoSchema,
  ModelProtoSchema,
  type NodeProtoSchema,
  TensorProto_DataLocation,
  type TensorProtoSchema,
} from "../../../gpu-worker/runtime/messages/onnx_pb.ts";
import { valueInfoProto } from "../../../gpu-worker/runtime/value_info_proto.ts";

type Dim = number | string;

interface ModelInit {
  inputs: Record<string, [dtype: DType, dims: readonly Dim[]]>;
  outputs: Record<string, [dtype: DType, dims: readonly Dim[]]>;
  nodes: MessageInitShape<typeof NodeProtoSchema>[];
  initializers?: MessageInitShape<typeof TensorProtoSchema>[];
}

export function node(
  opType: string,
  input: string[],
  output: string[],
  attribute: MessageInitShape<typeof AttributeProtoSchema>[] = [],
) {
  return { opType, name: output[0]!, input, output, attribute };
}

/** Returns a tensor whose bytes are in `location`, from `offset` on. */
export function external(
  name: string,
  { dtype, dims, location, offset, length }: {
    dtype: DType;
    dims: number[];
    location: string;
    offset: number;
    length: number;
  },
) {
  return {
    name,
    dims: dims.map(BigInt),
    dataType: ONNX_DATA_TYPE[dtype],
    dataLocation: TensorProto_DataLocation.EXTERNAL,
    externalData: Object.entries({ location, offset, length }).map(([key, value]) => ({
      key,
      value: String(value),
    })),
  };
}

export function model({ inputs, outputs, nodes, initializers = [] }: ModelInit): Uint8Array {
  const graph = {
    name: "test",
    node: nodes,
    input: valueInfos(inputs),
    output: valueInfos(outputs),
    initializer: initializers,
  };
  const opsetImport = [{ domain: "", version: 22n }];
  return toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: 10n, opsetImport, graph }));
}

/** sum = a + b; product = a * b, both [n]. */
export function sumAndProduct(): Uint8Array {
  return model({
    inputs: { a: ["float32", ["n"]], b: ["float32", ["n"]] },
    outputs: { sum: ["float32", ["n"]], product: ["float32", ["n"]] },
    nodes: [node("Add", ["a", "b"], ["sum"]), node("Mul", ["a", "b"], ["product"])],
  });
}

/**
 * y = x + trips, with one node per trip, so that a run can be arbitrarily long. x and y
 * are [n], trips is an int64 scalar.
 */
export function countingLoop(): Uint8Array {
  const body = {
    name: "body",
    node: [
      node("Identity", ["body_condition"], ["body_continue"]),
      node("Add", ["state", "one"], ["next_state"]),
    ],
    input: valueInfos({
      trip: ["int64", []],
      body_condition: ["bool", []],
      state: ["float32", ["n"]],
    }),
    output: valueInfos({ body_continue: ["bool", []], next_state: ["float32", ["n"]] }),
  };
  const attribute = { name: "body", type: AttributeProto_AttributeType.GRAPH, g: body };
  return model({
    inputs: { x: ["float32", ["n"]], trips: ["int64", []] },
    outputs: { y: ["float32", ["n"]] },
    nodes: [node("Loop", ["trips", "", "x"], ["y"], [attribute])],
    initializers: [{
      name: "one",
      dims: [1n],
      dataType: ONNX_DATA_TYPE.float32,
      rawData: new Uint8Array(new Float32Array([1]).buffer),
    }],
  });
}

function valueInfos(values: ModelInit["inputs"]) {
  return Object.entries(values).map(([name, [dtype, dims]]) => valueInfoProto(name, dtype, dims));
}
