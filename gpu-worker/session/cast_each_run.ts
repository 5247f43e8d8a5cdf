// Keeps a large text encoder's matrices in their files' type. Each run casts them, one after the other: the
// encoder loads at once and takes half the memory, for a share of the time of each prompt.
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { OnnxModel } from "../graph/graph_builder.ts";
import { ModelProtoSchema, type TensorProto, ValueInfoProtoSchema } from "../runtime/messages/onnx_pb.ts";
import { computedMatrices, isExternal, isProduct } from "./computed_matrices.ts";

/**
 * Returns `model` with the stored matrices declared as inputs too. ONNX Runtime takes such weights for ones
 * that a run may replace, so it leaves their casts in the graph, and their values in the mapped files.
 * Matrices with a LoRA stay as they are, as each run would merge it anew.
 */
export function castEachRun(model: OnnxModel): OnnxModel {
  const proto = fromBinary(ModelProtoSchema, model.bytes);
  const graph = proto.graph!;
  const matrices = computedMatrices(graph, model.heldShapes).filter(({ nodes }) => !nodes.some(isProduct));
  if (matrices.length === 0) return model;
  const stored = new Set(matrices.flatMap(({ stored }) => stored.filter(isExternal)));
  graph.input.push(...[...stored].map(declared));
  // ONNX Runtime runs nodes that stand first as late as their results allow. Others' results would all be in
  // memory at once.
  const casts = new Set(matrices.flatMap(({ nodes }) => nodes));
  graph.node = [...casts, ...graph.node.filter((node) => !casts.has(node))];
  return { ...model, bytes: toBinary(ModelProtoSchema, proto) };
}

function declared({ name, dataType, dims }: TensorProto) {
  const shape = { dim: dims.map((size) => ({ value: { case: "dimValue" as const, value: size } })) };
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: "tensorType", value: { elemType: dataType, shape } } },
  });
}
