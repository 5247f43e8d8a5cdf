// LayerNorm whose scale comes from the conditioning, without a shift (Qwen-Image-2.1).
import type { GraphBuilder, Value } from "../../graph_builder.ts";

export interface ScaledLayerNormOptions {
  /** Added to 1, [batch or 1, 1, features]. */
  scale: Value;
  features: number;
  eps: number;
}

/** Emits norm(x) * (1 + scale): [batch, tokens, features] -> the same. Moments are float32. */
export function scaledLayerNorm(
  graph: GraphBuilder,
  x: Value,
  { scale, features, eps }: ScaledLayerNormOptions,
): Value {
  const ones = graph.constant(new Array(features).fill(1));
  const normed = graph.node("LayerNormalization", [x, ones], {
    attributes: { axis: -1, epsilon: { float: eps } },
  });
  return graph.node("Mul", [normed, graph.node("Add", [scale, graph.scalar(1)])]);
}
