// Splits with many outputs as a slice for each output. WebGPU's kernel binds all outputs at once, and an
// adapter may allow as few as 8 buffers; ONNX Runtime then fails at the first run.
import type { NodeProto } from "../messages/onnx_pb.ts";
import type { NodeEmitter } from "./model_editor.ts";

/**
 * Buffers that every adapter binds to a shader, by the standard's default of maxStorageBuffersPerShaderStage.
 */
const BUFFERS = 8;

/** Replaces a Split node into equal parts that would bind too many buffers. */
export function narrowSplits({ opType, input, output, attribute }: NodeProto, emit: NodeEmitter): boolean {
  if (opType !== "Split" || output.length < BUFFERS) return false;
  const valueOf = (name: string) => attribute.find((candidate) => candidate.name === name)?.i;
  const parts = valueOf("num_outputs");
  if (parts === undefined) return false;
  const [x] = input as [string];
  const axis = Number(valueOf("axis") ?? 0n);
  const shape = emit.node("Shape", [x]);
  const length = emit.node("Gather", [shape, emit.ints(axis)]);
  const size = emit.node("Div", [length, emit.ints(Number(parts))]);
  for (const [part, name] of output.entries()) {
    const [start, end] = [part, part + 1].map((edge) => emit.node("Mul", [size, emit.ints(edge)]));
    emit.node("Slice", [x, start!, end!, emit.ints(axis)], { as: name });
  }
  return true;
}
