// torch.nn.Linear on tokens of any rank. Weights stay [out, in] as in the
// checkpoint, without a Transpose node.
import type { DType } from "../../../runtime/dtype.ts";
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { blockProduct } from "./block_product.ts";

export interface LinearOptions {
  /** Name of the module: `<name>.weight` [outFeatures, inFeatures] and `<name>.bias` [outFeatures]. */
  name: string;
  inFeatures: number;
  outFeatures: number;
  /** @default true */
  bias?: boolean;
  /** Type of computation and result. @default the graph's compute type */
  dtype?: DType;
  /**
   * Whether --weights int8 and int4 leave the layer alone: a network's first and last layers.
   * @default false
   */
  asStored?: boolean;
}

/** Emits x W^T + b: [..., inFeatures] -> [..., outFeatures]. */
export function linear(graph: GraphBuilder, x: Value, options: LinearOptions): Value {
  const { name, outFeatures, dtype = graph.dtype } = options;
  const product = linearProduct(graph, x, options);
  if (!hasBias(graph, options)) return product;
  return graph.node("Add", [product, graph.weight(`${name}.bias`, [outFeatures], dtype)]);
}

/** Returns whether the layer adds a bias: its own, or a LoRA's. */
export function hasBias(graph: GraphBuilder, { name, bias = true }: LinearOptions): boolean {
  return bias || graph.hasAddedBias(name);
}

/** Emits x W^T: [..., inFeatures] -> [..., outFeatures]. */
export function linearProduct(graph: GraphBuilder, x: Value, options: LinearOptions): Value {
  const { name, inFeatures, outFeatures, dtype = graph.dtype, asStored = false } = options;
  const [weight, shape] = [`${name}.weight`, [outFeatures, inFeatures] as const];
  const input = graph.cast(x, dtype);
  const blocks = asStored ? undefined : graph.blockMatrix(weight, shape);
  return blocks === undefined
    ? graph.node("FusedMatMul", [input, graph.weight(weight, shape, dtype)], {
      domain: "com.microsoft",
      attributes: { transB: 1 },
    })
    : blockProduct(graph, input, { ...blocks, inFeatures, outFeatures, dtype });
}
