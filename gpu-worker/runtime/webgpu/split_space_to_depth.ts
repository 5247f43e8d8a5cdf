// SpaceToDepth as Reshape and Transpose, as WebGPU has no kernel for it.
import type { NodeProto } from "../messages/onnx_pb.ts";
import type { NodeEmitter } from "./model_editor.ts";

/** Replaces a SpaceToDepth node: [n, c, b h, b w] -> [n, b b c, h, w]. */
export function splitSpaceToDepth(
  { opType, input, output, attribute }: NodeProto,
  emit: NodeEmitter,
): boolean {
  if (opType !== "SpaceToDepth") return false;
  const [x] = input as [string];
  const size = Number(attribute.find(({ name }) => name === "blocksize")!.i);
  const shape = (start: number, end: number) => emit.node("Shape", [x], { attributes: { start, end } });
  const join = (...parts: string[]) => emit.node("Concat", parts, { attributes: { axis: 0 } });
  const block = emit.ints(size);
  const [rows, columns] = [2, 3].map((axis) => emit.node("Div", [shape(axis, axis + 1), block])) as [
    string,
    string,
  ];
  const boxes = emit.node("Reshape", [x, join(shape(0, 2), rows, block, columns, block)]);
  const ordered = emit.node("Transpose", [boxes], { attributes: { perm: [0, 3, 5, 1, 2, 4] } });
  emit.node("Reshape", [ordered, join(shape(0, 1), emit.ints(-1), rows, columns)], { as: output[0]! });
  return true;
}
