// torch.nn.Linear on tokens of any rank. Weights stay [out, in] as in the
// checkpoint, without a Transpose node.
import type { DType } from "../../../runtime/dtype.ts";
import type { GraphBuilder, Value } from "../../graph_builder.ts";

export interface LinearOptions {
  /** Name of the module: `<name>.weight` [outFeatures, inFeatures] and `<name>.bias` [outFeatures]. */
  name: string;
  inFeatures: number;
  outFeatures: number;
  /** @default true */
  bias?: boolean;
  /** Type of computation and result. @default the graph's compute type */
  dtype?: DType;
}

/** Emits x W^T + b: [..., inFeatures] -> [..., outFeatures]. */
export function linear(graph: GraphBuilder, x: Value, options: LinearOptions): Value {
  const { name, inFeatures, outFeatures, bias = true, dtype = graph.dtype } = options;
  const product = graph.node("FusedMatMul", [
    graph.cast(x, dtype),
    graph.weight(`${name}.weight`, [outFeatures, inFeatures], dtype),
  ], { domain: "com.microsoft", attributes: { transB: 1 } });
  return bias ? graph.node("Add", [product, graph.weight(`${name}.bias`, [outFeatures], dtype)]) : product;
}
