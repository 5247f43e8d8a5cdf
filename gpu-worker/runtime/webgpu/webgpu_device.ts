// What ONNX Runtime's WebGPU provider can do on this machine's adapter, and models rewritten for it.
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { type DType, ONNX_DATA_TYPE } from "../dtype.ts";
import { ModelProtoSchema } from "../messages/onnx_pb.ts";
import { expandAttention } from "./expand_attention.ts";
import { expandSines } from "./expand_sines.ts";
import { rewriteNodes } from "./model_editor.ts";
import { attendsRight, computesFloat16, type RunOnce } from "./probes.ts";
import { splitFusedProducts } from "./split_fused_products.ts";
import { splitSpaceToDepth } from "./split_space_to_depth.ts";
import { widenTables } from "./widen_tables.ts";

/** Tries the adapter when an answer is first needed. */
export class WebgpuDevice {
  readonly #run: RunOnce;
  #float16: Promise<boolean> | undefined;
  #attention: Promise<boolean> | undefined;

  constructor(run: RunOnce) {
    this.#run = run;
  }

  /** Returns whether graphs may compute in `dtype`. */
  async supports(dtype: DType): Promise<boolean> {
    if (dtype === "bfloat16" || dtype === "float64") return false;
    if (dtype !== "float16") return true;
    return await (this.#float16 ??= computesFloat16(this.#run));
  }

  /** Returns `bytes`, a ModelProto, without nodes that this adapter computes wrongly or not at all. */
  async adapt(bytes: Uint8Array): Promise<Uint8Array> {
    const model = fromBinary(ModelProtoSchema, bytes);
    const graph = model.graph!;
    const has = (op: string) => graph.node.some(({ opType }) => opType === op);
    if (has("Gather")) {
      const isHalf = graph.initializer.some(({ dataType }) => dataType === ONNX_DATA_TYPE.float16);
      widenTables(graph, new Set(isHalf && await this.supports("float16") ? ["float16"] : []));
    }
    for (const rewrite of [splitFusedProducts, splitSpaceToDepth, expandSines]) rewriteNodes(graph, rewrite);
    if (has("MultiHeadAttention") && !await (this.#attention ??= attendsRight(this.#run))) {
      rewriteNodes(graph, expandAttention);
    }
    return toBinary(ModelProtoSchema, model);
  }
}
