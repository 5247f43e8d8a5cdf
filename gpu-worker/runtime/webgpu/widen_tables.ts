// Tables of embeddings in a type that the device computes in. Gather reads the stored table, and WebGPU has no
// kernel for bfloat16, nor one for float16 on many adapters.
import { type DType, ONNX_DATA_TYPE } from "../dtype.ts";
import type { GraphProto } from "../messages/onnx_pb.ts";
import { rewriteNodes } from "./model_editor.ts";

/**
 * Casts stored tables whose type is not in `supported` to the type that their rows are cast to later. ONNX
 * Runtime does so once, when the model is loaded.
 */
export function widenTables(graph: GraphProto, supported: ReadonlySet<DType>): void {
  const narrow = new Set(
    (["float16", "bfloat16"] as const).filter((dtype) => !supported.has(dtype)).map((dtype) =>
      ONNX_DATA_TYPE[dtype]
    ),
  );
  const tables = new Set(
    graph.initializer.flatMap(({ name, dataType }) => narrow.has(dataType) ? [name] : []),
  );
  rewriteNodes(graph, (node, emit) => {
    const [table, ...rest] = node.input;
    if (node.opType !== "Gather" || !tables.has(table!)) return false;
    const cast = graph.node.find(({ opType, input }) => opType === "Cast" && input[0] === node.output[0]);
    const to = Number(cast?.attribute.find(({ name }) => name === "to")?.i ?? ONNX_DATA_TYPE.float32);
    node.input = [emit.node("Cast", [table!], { attributes: { to } }), ...rest];
    emit.nodes.push(node);
    return true;
  });
}
