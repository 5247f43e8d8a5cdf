// LayerNormalization whose scale and shift come from the conditioning. WebGPU's kernel takes a scale and a
// shift of one row only, so it refuses those of guidance or of a picture batch.
import type { GraphProto } from "../messages/onnx_pb.ts";
import { rewriteNodes } from "./model_editor.ts";

/**
 * Replaces every such node by a norm without scale, a product and a sum.
 * Scale and shift are [batch, 1, features].
 */
export function splitNorms(graph: GraphProto): void {
  const weights = new Set(graph.initializer.map(({ name }) => name));
  const makers = new Map(graph.node.flatMap((node) => node.output.map((name) => [name, node] as const)));
  const isWeight = (name: string): boolean => {
    const maker = makers.get(name);
    return weights.has(name) || maker?.opType === "Cast" && isWeight(maker.input[0]!);
  };
  rewriteNodes(graph, (node, emit) => {
    const [x, scale, shift] = node.input as [string, string, string?];
    if (node.opType !== "LayerNormalization" || isWeight(scale)) return false;
    const [output] = node.output as [string];
    const row = emit.node("Slice", [scale, emit.ints(0), emit.ints(1), emit.ints(0)]);
    const vector = emit.node("Reshape", [row, emit.ints(-1)]);
    // Ones in the type of the scale, which a node does not tell.
    const ones = emit.node("Exp", [emit.node("Sub", [vector, vector])]);
    const normed = `${output}/normed`;
    emit.nodes.push({ ...node, name: normed, input: [x, ones], output: [normed] });
    if (shift === undefined) {
      emit.node("Mul", [normed, scale], { as: output });
    } else {
      emit.node("Add", [emit.node("Mul", [normed, scale]), shift], { as: output });
    }
    return true;
  });
}
