// Rotary position embedding on pairs of neighbouring channels (diffusers' apply_rotary_emb,
// use_real_unbind_dim = -1), or on pairs of a channel in each half of a head (transformers' rotate_half).
import type { GraphBuilder, Value } from "../../graph_builder.ts";

export interface RotaryOptions {
  /** Cosines and sines of the angles, [tokens, width / 2] float32, with a row for each token. */
  cos: Value;
  sin: Value;
  heads: number;
  /** Whether pairs are channels 2 i and 2 i + 1; otherwise i and i + width / 2. @default true */
  interleaved?: boolean;
}

/**
 * Rotates queries or keys [batch, tokens, heads * width]. Like diffusers it computes in float32;
 * the result has the type of `x`.
 */
export function rotary(
  graph: GraphBuilder,
  x: Value,
  { cos, sin, heads, interleaved = true }: RotaryOptions,
): Value {
  const firstRow = graph.ints(0);
  const rotated = graph.node("RotaryEmbedding", [graph.cast(x, "float32"), firstRow, cos, sin], {
    domain: "com.microsoft",
    attributes: { interleaved: interleaved ? 1 : 0, num_heads: heads },
  });
  return graph.cast(rotated, x.dtype);
}
