// The abilities of ONNX Runtime's WebGPU provider on this machine's adapter, and models rewritten for it.
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { type DType, ONNX_DATA_TYPE } from "../dtype.ts";
import { ModelProtoSchema } from "../messages/onnx_pb.ts";
import { requestAdapter } from "./adapter.ts";
import { assertFits, GUARANTEED_BYTES, largestWeight } from "./buffer_limit.ts";
import { expandAttention } from "./expand_attention.ts";
import { expandSines } from "./expand_sines.ts";
import { rewriteNodes } from "./model_editor.ts";
import { narrowSplits } from "./narrow_splits.ts";
import { padChannels } from "./pad_channels.ts";
import { attendsRight, computesFloat16, type RunOnce } from "./probes.ts";
import { splitFusedProducts } from "./split_fused_products.ts";
import { splitNorms } from "./split_norms.ts";
import { splitSpaceToDepth } from "./split_space_to_depth.ts";
import { widenTables } from "./widen_tables.ts";

export interface WebgpuDeviceOptions {
  /** Tries a graph on the adapter. */
  run: RunOnce;
  /**
   * Returns the bytes that a buffer of the adapter holds at most, if they are known.
   * @default Deno's answer
   */
  largestBuffer?: () => Promise<number | undefined>;
}

/** Asks the adapter when an answer is first needed. */
export class WebgpuDevice {
  readonly #run: RunOnce;
  readonly #largestBuffer: () => Promise<number | undefined>;
  #float16: Promise<boolean> | undefined;
  #attention: Promise<boolean> | undefined;

  constructor(
    { run, largestBuffer = async () => (await requestAdapter())?.limits.maxBufferSize }: WebgpuDeviceOptions,
  ) {
    this.#run = run;
    this.#largestBuffer = largestBuffer;
  }

  /** Returns whether graphs may compute in `dtype`. */
  async supports(dtype: DType): Promise<boolean> {
    if (dtype === "bfloat16" || dtype === "float64") return false;
    if (dtype !== "float16") return true;
    return await (this.#float16 ??= computesFloat16(this.#run));
  }

  /**
   * Returns `bytes`, a ModelProto, without nodes that this adapter computes wrongly or not at all.
   * @throws {DeviceLimitError} naming a weight that does not fit into a buffer of the adapter.
   */
  async adapt(bytes: Uint8Array): Promise<Uint8Array> {
    const model = fromBinary(ModelProtoSchema, bytes);
    const graph = model.graph!;
    const has = (op: string) => graph.node.some(({ opType }) => opType === op);
    if (has("Gather")) {
      const isHalf = graph.initializer.some(({ dataType }) => dataType === ONNX_DATA_TYPE.float16);
      widenTables(graph, new Set(isHalf && await this.supports("float16") ? ["float16"] : []));
    }
    for (const rewrite of [splitFusedProducts, splitSpaceToDepth, narrowSplits, expandSines]) {
      rewriteNodes(graph, rewrite);
    }
    padChannels(graph);
    splitNorms(graph);
    if (has("MultiHeadAttention") && !await (this.#attention ??= attendsRight(this.#run))) {
      rewriteNodes(graph, expandAttention);
    }
    const weight = largestWeight(graph);
    if (weight.bytes > GUARANTEED_BYTES) {
      const limit = await this.#largestBuffer();
      if (limit !== undefined) assertFits(weight, limit, graph.name);
    }
    return toBinary(ModelProtoSchema, model);
  }
}
