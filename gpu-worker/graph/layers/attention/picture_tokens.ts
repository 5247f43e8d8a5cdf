// The picture's tokens among those of references, which stand behind it.
import type { GraphBuilder, Value } from "../../graph_builder.ts";

/** The input whose length is the number of the picture's tokens. Its values are ignored. */
export const PICTURE_TOKENS = "picture_tokens";

/**
 * Declares the input `picture_tokens` [image_tokens] and emits the number of the picture's tokens, [1] int64.
 */
export function pictureTokenCount(graph: GraphBuilder): Value {
  const picture = graph.input(PICTURE_TOKENS, ["image_tokens"], "float32");
  return graph.node("Shape", [picture], { dtype: "int64" });
}

/**
 * Emits the picture's tokens, the first of [batch, sequence, inner]. Features and outputs are made of them
 * alone, so that a history holds no reference.
 * @param count declares the input `picture_tokens` by default
 */
export function pictureTokens(
  graph: GraphBuilder,
  tokens: Value,
  count: Value = pictureTokenCount(graph),
): Value {
  return graph.node("Slice", [tokens, graph.ints(0), count, graph.ints(1)]);
}
