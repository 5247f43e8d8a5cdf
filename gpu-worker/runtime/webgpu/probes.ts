// Tries on the device what its adapter does not tell us.
import { create, toBinary } from "@bufbuild/protobuf";
import { attribute } from "../attribute.ts";
import { ModelProtoSchema, type NodeProto, NodeProtoSchema } from "../messages/onnx_pb.ts";
import { OrtError } from "../ort_error.ts";
import { valueInfoProto } from "../value_info_proto.ts";
import { NodeEmitter } from "./model_editor.ts";

/** Runs a model with the float32 input `x` once and returns its float32 output `y`. */
export type RunOnce = (
  model: Uint8Array,
  x: { dims: readonly number[]; data: Float32Array<ArrayBuffer> },
) => Promise<Float32Array>;

/** Returns whether shaders may compute in float16 (the adapter's feature shader-f16). */
export async function computesFloat16(run: RunOnce): Promise<boolean> {
  const model = modelOf((emit) => {
    const half = emit.cast("x", "float16");
    emit.cast(emit.node("Mul", [half, half]), "float32", { as: "y" });
  });
  try {
    const [y] = await run(model, { dims: [1], data: Float32Array.of(3) });
    return y === 9;
  } catch (error) {
    if (error instanceof OrtError && /requires f16/.test(error.message)) return false;
    throw error;
  }
}

/** Tokens from which ONNX Runtime takes its fused kernel. */
const FUSED_TOKENS = 32;
const WIDTH = 8;

/**
 * Returns whether the fused kernel of attention is right. Queries of 0 attend to all keys
 * alike, so every result must be the mean of the values.
 */
export async function attendsRight(run: RunOnce): Promise<boolean> {
  const model = modelOf((emit) => {
    const none = emit.node("Mul", ["x", emit.float(0)]);
    emit.nodes.push(attention([none, "x", "x"]));
  }, ["batch", "tokens", "features"]);
  const data = Float32Array.from({ length: FUSED_TOKENS * WIDTH }, (_, i) => Math.floor(i / WIDTH));
  const y = await run(model, { dims: [1, FUSED_TOKENS, WIDTH], data });
  const mean = (FUSED_TOKENS - 1) / 2;
  return y.every((value) => Math.abs(value - mean) < 1e-3 * mean);
}

function attention(input: string[]): NodeProto {
  return create(NodeProtoSchema, {
    opType: "MultiHeadAttention",
    domain: "com.microsoft",
    input,
    output: ["y"],
    attribute: [attribute("num_heads", 1)],
  });
}

function modelOf(emitNodes: (emit: NodeEmitter) => void, dims: readonly string[] = ["n"]): Uint8Array {
  const model = create(ModelProtoSchema, {
    irVersion: 10n,
    opsetImport: [{ domain: "", version: 21n }, { domain: "com.microsoft", version: 1n }],
    graph: { name: "probe" },
  });
  const graph = model.graph!;
  const emit = new NodeEmitter(graph, "probe");
  emitNodes(emit);
  graph.node = emit.nodes;
  graph.input = [valueInfoProto("x", "float32", dims)];
  graph.output = [valueInfoProto("y", "float32", dims)];
  return toBinary(ModelProtoSchema, model);
}
