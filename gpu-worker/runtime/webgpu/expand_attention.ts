// Attention as matrix products and Softmax, for devices on which the fused kernel is wrong: below 8
// lanes in a subgroup it counts keys twice (docs/decisions/0035-webgpu.md). The scores then take
// memory: heads x tokens^2.
import type { NodeProto } from "../messages/onnx_pb.ts";
import type { NodeEmitter } from "./model_editor.ts";

/** Added to the score of a hidden key; finite in float16. */
const HIDDEN = -60000;

/** Replaces a MultiHeadAttention node as layers/attention/attention.ts emits it. Scores are in float32. */
export function expandAttention({ opType, input, output, attribute }: NodeProto, emit: NodeEmitter): boolean {
  if (opType !== "MultiHeadAttention") return false;
  const valueOf = (name: string) => attribute.find((candidate) => candidate.name === name);
  const heads = Number(valueOf("num_heads")!.i);
  const [query, key, value, , , bias] = input as [string, string, string, string?, string?, string?];
  const byHead = (x: string, perm: number[]) =>
    emit.node("Transpose", [emit.node("Reshape", [x, emit.ints(0, 0, heads, -1)])], { attributes: { perm } });
  const product = emit.node("MatMul", [byHead(query, [0, 2, 1, 3]), byHead(key, [0, 2, 3, 1])]);
  const scale = valueOf("scale")?.f;
  let scores = emit.node("Mul", [
    emit.cast(product, "float32"),
    scale === undefined ? defaultScale(emit, query, heads) : emit.float(scale),
  ]);
  if (bias) scores = emit.node("Add", [scores, emit.cast(bias, "float32")]);
  if (valueOf("unidirectional")?.i === 1n) scores = emit.node("Add", [scores, causalMask(emit, query, key)]);
  const shares = emit.node("Softmax", [scores], { attributes: { axis: -1 } });
  const attended = emit.node("MatMul", [
    emit.node("CastLike", [shares, value]),
    byHead(value, [0, 2, 1, 3]),
  ]);
  const joined = emit.node("Transpose", [attended], { attributes: { perm: [0, 2, 1, 3] } });
  emit.node("Reshape", [joined, emit.ints(0, 0, -1)], { as: output[0]! });
  return true;
}

/** Emits 1 / sqrt(features / heads). */
function defaultScale(emit: NodeEmitter, query: string, heads: number): string {
  const features = emit.cast(sizeOf(emit, query, 2), "float32");
  return emit.node("Sqrt", [emit.node("Div", [emit.float(heads), features])]);
}

/** Emits HIDDEN for keys after the query, else 0: [tokens, keys]. */
function causalMask(emit: NodeEmitter, query: string, key: string): string {
  const positions = (of: string) => {
    const count = emit.node("Squeeze", [sizeOf(emit, of, 1)]);
    const zero = emit.node("Squeeze", [emit.ints(0)]);
    const one = emit.node("Squeeze", [emit.ints(1)]);
    return emit.cast(emit.node("Range", [zero, count, one]), "float32");
  };
  const rows = emit.node("Unsqueeze", [positions(query), emit.ints(1)]);
  const after = emit.node("Clip", [
    emit.node("Sub", [positions(key), rows]),
    emit.float(0),
    emit.float(1),
  ]);
  return emit.node("Mul", [after, emit.float(HIDDEN)]);
}

function sizeOf(emit: NodeEmitter, value: string, axis: number): string {
  return emit.node("Shape", [value], { attributes: { start: axis, end: axis + 1 } });
}
