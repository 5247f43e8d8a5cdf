// Multi-head attention without masks over padding, by ONNX Runtime's fused kernel.
import type { GraphBuilder, Value } from "../../graph_builder.ts";

/** Queries [batch, tokens, heads * width], keys and values [batch, keys, heads * width]. */
export interface AttentionInputs {
  query: Value;
  key: Value;
  value: Value;
}

export interface AttentionOptions {
  heads: number;
  /** Factor on the scores. @default 1 / sqrt(width) */
  scale?: number;
  /** Whether each token attends only to itself and earlier tokens. @default false */
  causal?: boolean;
  /** Added to the scores: [1 or batch, 1 or heads, tokens, keys]. */
  bias?: Value;
}

/** Emits softmax(scale Q K^T + bias) V: [batch, tokens, heads * width]. */
export function attention(
  graph: GraphBuilder,
  { query, key, value }: AttentionInputs,
  { heads, scale, causal = false, bias }: AttentionOptions,
): Value {
  const inputs = [query, key, value, ...(bias ? [undefined, undefined, bias] : [])];
  return graph.node("MultiHeadAttention", inputs, {
    domain: "com.microsoft",
    attributes: {
      num_heads: heads,
      ...(scale === undefined ? {} : { scale: { float: scale } }),
      ...(causal ? { unidirectional: 1 } : {}),
    },
  });
}
