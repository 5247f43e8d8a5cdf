// Matrices of a graph that depend on stored weights alone: which they are, a graph that computes them, and
// the graph that is given them.
import { create, toBinary } from "@bufbuild/protobuf";
import type { OnnxModel } from "../graph/graph_builder.ts";
import { DTYPE_BYTES, ONNX_DATA_TYPE } from "../runtime/dtype.ts";
import {
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation as DataLocation,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from "../runtime/messages/onnx_pb.ts";
import { elementCount, type Tensor } from "../runtime/tensor.ts";

/** Nodes that use a matrix where it lies. Convolutions change the layout of theirs while they are loaded. */
const PRODUCTS = ["FusedMatMul", "MatMul"];
/** Nodes that compute with whole numbers, and need their matrices packed. */
const WHOLE_PRODUCTS = ["MatMulNBits", "MatMulIntegerToFloat"];
/**
 * A place behind the end of every file. A session takes the values that it is given, but its model must name
 * a place. Nothing may read them before they are computed, so a step that tried would fail here.
 */
const NOWHERE = 2 ** 50;

/** A matrix that nodes compute from stored weights alone. */
export interface ComputedMatrix {
  name: string;
  /** In the graph's order. */
  nodes: readonly NodeProto[];
  stored: readonly TensorProto[];
  /** Of the matrix. */
  byteLength: number;
}

/** Returns the matrices of products that depend on stored weights, but not on what a run may give. */
export function computedMatrices(
  { node: nodes, initializer, input, output }: GraphProto,
  heldShapes: OnnxModel["heldShapes"],
): ComputedMatrix[] {
  if (nodes.some(({ opType }) => WHOLE_PRODUCTS.includes(opType))) return [];
  const inputs = new Set(input.map(({ name }) => name));
  const fixed = initializer.filter(({ name }) => !inputs.has(name));
  const tensors = new Map(fixed.map((tensor) => [tensor.name, tensor]));
  const makers = new Map<string, NodeProto>();
  const used = new Set<string>();
  const refused = new Set(output.map(({ name }) => name));
  for (const node of nodes) {
    const { input, output } = node;
    if (input.every((name) => tensors.has(name) || makers.has(name)) && input.length > 0) {
      for (const name of output) makers.set(name, node);
      continue;
    }
    for (const name of input) (isProduct(node) ? used : refused).add(name);
  }
  return [...used].filter((name) => makers.has(name) && !refused.has(name)).flatMap((name) => {
    const needed = new Set<NodeProto | TensorProto>();
    const collect = (name: string) => {
      const source = makers.get(name) ?? tensors.get(name)!;
      if (needed.has(source)) return;
      needed.add(source);
      if ("opType" in source) source.input.forEach(collect);
    };
    collect(name);
    const stored = fixed.filter((tensor) => needed.has(tensor));
    const sizes = stored.filter(isExternal).map(({ name, dims }) =>
      elementCount(heldShapes.get(name) ?? dims.map(Number))
    );
    // LoRAs' factors are small beside the matrix that they change.
    const byteLength = DTYPE_BYTES.float32 * Math.max(0, ...sizes);
    return byteLength === 0
      ? []
      : [{ name, nodes: nodes.filter((node) => needed.has(node)), stored, byteLength }];
  });
}

/** Returns a model without inputs, whose outputs are the matrices. */
export function matrixModel(
  { irVersion, opsetImport }: ModelProto,
  matrices: readonly ComputedMatrix[],
): Uint8Array {
  const model = create(ModelProtoSchema, {
    irVersion,
    opsetImport,
    graph: {
      name: "weights",
      node: [...new Set(matrices.flatMap(({ nodes }) => nodes))],
      initializer: [...new Set(matrices.flatMap(({ stored }) => stored))],
      // ONNX Runtime finds their types and shapes.
      output: matrices.map(({ name }) => create(ValueInfoProtoSchema, { name })),
    },
  });
  return toBinary(ModelProtoSchema, model);
}

/** Declares the matrices as weights of `graph`, instead of the nodes that compute them. */
export function replaceMatrices(
  graph: GraphProto,
  matrices: readonly ComputedMatrix[],
  values: Readonly<Record<string, Tensor>>,
): void {
  const names = new Set(matrices.map(({ name }) => name));
  const used = new Set(graph.output.map(({ name }) => name));
  graph.node = graph.node.toReversed().filter(({ input, output }) => {
    if (output.some((name) => names.has(name)) || !output.some((name) => used.has(name))) return false;
    for (const name of input) used.add(name);
    return true;
  }).reverse();
  graph.initializer = graph.initializer.filter(({ name }) => used.has(name));
  for (const { name, stored } of matrices) {
    const { dims, byteLength } = values[name]!;
    const location = stored.find(isExternal)!.externalData.find(({ key }) => key === "location")!;
    graph.initializer.push(create(TensorProtoSchema, {
      name,
      dims: dims.map(BigInt),
      dataType: ONNX_DATA_TYPE.float32,
      dataLocation: DataLocation.EXTERNAL,
      externalData: [
        location,
        { key: "offset", value: `${NOWHERE}` },
        { key: "length", value: `${byteLength}` },
      ].map(({ key, value }) => create(StringStringEntryProtoSchema, { key, value })),
    }));
  }
}

/** Whether a node multiplies matrices. */
export function isProduct({ opType }: Pick<NodeProto, "opType">): boolean {
  return PRODUCTS.includes(opType);
}

/** Whether a tensor's values lie in a file of their own. */
export function isExternal({ dataLocation }: TensorProto): boolean {
  return dataLocation === DataLocation.EXTERNAL;
}
