// LayerNorm whose scale and shift come from the conditioning instead of the checkpoint
// (diffusers' AdaLayerNorm*).
import type { GraphBuilder, Value } from "../../graph_builder.ts";

export interface AdaptiveLayerNormOptions {
  /** Added to 1, [batch, 1, features], or [batch, tokens, features] with `perToken`. */
  scale: Value;
  /** As `scale`. */
  shift: Value;
  /** Whether each token has a scale and a shift of its own. @default false */
  perToken?: boolean | undefined;
  features: number;
  eps: number;
}

/** Emits norm(x) * (1 + scale) + shift: [batch, tokens, features] -> the same. Moments are float32. */
export function adaptiveLayerNorm(
  graph: GraphBuilder,
  x: Value,
  { features, scale, shift, eps, perToken = false }: AdaptiveLayerNormOptions,
): Value {
  const factor = graph.node("Add", [scale, graph.scalar(1)]);
  const attributes = { axis: -1, epsilon: { float: eps } };
  if (graph.dtype !== "float32" && !perToken) {
    return graph.node("LayerNormalization", [x, factor, shift], { attributes });
  }
  // The CPU kernel takes three times as long with a scale per picture as with one vector.
  const ones = graph.constant(new Array(features).fill(1));
  const normed = graph.node("LayerNormalization", [x, ones], { attributes });
  return graph.node("Add", [graph.node("Mul", [normed, factor]), shift]);
}
