// LayerNorm computed in float32, whatever the stream's type (diffusers' FP32LayerNorm). Scale and shift come
// from the conditioning or are learnt.
import type { GraphBuilder, Value } from "../../graph_builder.ts";

export interface ModulatedLayerNormOptions {
  /** Added to 1, [batch, 1, features] float32. */
  scale: Value;
  /** [batch, 1, features] float32 */
  shift: Value;
  features: number;
  eps: number;
}

/**
 * Emits norm(x) * (1 + scale) + shift in float32: [batch, tokens, features] -> the same in the type of `x`.
 */
export function modulatedLayerNorm(
  graph: GraphBuilder,
  x: Value,
  { scale, shift, features, eps }: ModulatedLayerNormOptions,
): Value {
  const ones = graph.constant(new Array(features).fill(1), [features], "float32");
  const normed = graph.node("LayerNormalization", [graph.cast(x, "float32"), ones], {
    attributes: { axis: -1, epsilon: { float: eps } },
  });
  const factor = graph.node("Add", [scale, graph.scalar(1, "float32")]);
  return graph.cast(graph.node("Add", [graph.node("Mul", [normed, factor]), shift]), x.dtype);
}

export interface Float32LayerNormOptions {
  /** Name of the module: `<name>.weight` and `<name>.bias`, both [features]. */
  name: string;
  features: number;
  eps: number;
}

/** Emits norm(x) * weight + bias in float32: [..., features] -> the same in the type of `x`. */
export function float32LayerNorm(
  graph: GraphBuilder,
  x: Value,
  { name, features, eps }: Float32LayerNormOptions,
): Value {
  const learnt = (part: "weight" | "bias") => graph.weight(`${name}.${part}`, [features], "float32");
  const inputs = [graph.cast(x, "float32"), learnt("weight"), learnt("bias")];
  const normed = graph.node("LayerNormalization", inputs, {
    attributes: { axis: -1, epsilon: { float: eps } },
  });
  return graph.cast(normed, x.dtype);
}
