// The picture's tokens among those of references, which stand behind it.
import type { GraphBuilder, Value } from "../../graph_builder.ts";

/** The input whose length is the number of the picture's tokens. Its values are ignored. */
export const PICTURE_TOKENS = "picture_tokens";

/**
 * Declares the input `picture_tokens` [image_tokens] and emits the picture's tokens, the first of [batch,
 * sequence, inner]. Features and outputs are made of them alone, so that a history holds no reference.
 */
export function pictureTokens(graph: GraphBuilder, tokens: Value): Value {
  const picture = graph.input(PICTURE_TOKENS, ["image_tokens"], "float32");
  const count = graph.node("Shape", [picture], { dtype: "int64" });
  return graph.node("Slice", [tokens, graph.ints(0), count, graph.ints(1)]);
}
