// Tables of embeddings in a type that the device computes in. Gather reads the stored table, and WebGPU has
// no kernel for bfloat16, nor one for float16 on many adapters.
import { GUARANTEED_BYTES, tensorBytes } from "./buffer_limit.ts";
import { type DType, ONNX_DATA_TYPE } from "../dtype.ts";
import type { GraphProto } from "../messages/onnx_pb.ts";
import { rewriteNodes } from "./model_editor.ts";

/**
 * Casts stored tables whose type is not in `supported` to the type that their rows are cast to later. ONNX
 * Runtime does so once, when the model is loaded. Large tables in bfloat16 stay as they are: Gather then runs
 * on the CPU, and only the rows that it reads need memory on the device.
 */
export function widenTables(graph: GraphProto, supported: ReadonlySet<DType>): void {
  const narrow = new Set(
    (["float16", "bfloat16"] as const).filter((dtype) => !supported.has(dtype)).map((dtype) =>
      ONNX_DATA_TYPE[dtype]
    ),
  );
  const tables = new Map(
    graph.initializer.flatMap((table) => narrow.has(table.dataType) ? [[table.name, table] as const] : []),
  );
  rewriteNodes(graph, (node, emit) => {
    const [table, ...rest] = node.input;
    const stored = node.opType === "Gather" ? tables.get(table!) : undefined;
    if (stored === undefined) return false;
    const cast = graph.node.find(({ opType, input }) => opType === "Cast" && input[0] === node.output[0]);
    const to = Number(cast?.attribute.find(({ name }) => name === "to")?.i ?? ONNX_DATA_TYPE.float32);
    const isLarge = tensorBytes(stored.dims, to) > GUARANTEED_BYTES;
    if (isLarge && stored.dataType === ONNX_DATA_TYPE.bfloat16) return false;
    node.input = [emit.node("Cast", [table!], { attributes: { to } }), ...rest];
    emit.nodes.push(node);
    return true;
  });
}
