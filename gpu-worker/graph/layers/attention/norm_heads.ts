// Norms queries and keys: diffusers' Attention with its option qk_norm.
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { layerNorm } from "../norm/layer_norm.ts";
import { rmsNorm } from "../norm/rms_norm.ts";

/** diffusers' names. "fp32_layer_norm" has no weights; null means no norm. */
export type QueryKeyNorm = "rms_norm" | "layer_norm" | "fp32_layer_norm" | null;

export interface NormHeadsOptions {
  /** Name of the norm, whose weights are [headDim]. */
  name: string;
  kind: QueryKeyNorm;
  heads: number;
  headDim: number;
  eps: number;
}

/** Emits a separate norm for each head: [batch, tokens, heads * headDim] -> the same. */
export function normHeads(graph: GraphBuilder, x: Value, options: NormHeadsOptions): Value {
  const { name, kind, heads, headDim: features, eps } = options;
  if (kind === null) return x;
  const byHead = graph.node("Reshape", [x, graph.ints(0, 0, heads, features)]);
  const normed = normLast(graph, byHead, { name, kind, features, eps });
  return graph.node("Reshape", [normed, graph.ints(0, 0, heads * features)]);
}

function normLast(
  graph: GraphBuilder,
  x: Value,
  { name, kind, features, eps }: {
    name: string;
    kind: NonNullable<QueryKeyNorm>;
    features: number;
    eps: number;
  },
): Value {
  switch (kind) {
    case "rms_norm":
      return rmsNorm(graph, x, { name, features, eps });
    case "layer_norm":
      return layerNorm(graph, x, { name, features, eps });
    case "fp32_layer_norm":
      return graph.node("LayerNormalization", [x, graph.constant(new Array(features).fill(1))], {
        attributes: { axis: -1, epsilon: { float: eps } },
      });
    default:
      return kind satisfies never;
  }
}
