// torch.nn.Embedding: rows of a table by index.
import type { GraphBuilder, Value } from "../../graph_builder.ts";

export interface EmbeddingOptions {
  /** Name of the module: `<name>.weight` [count, features]. */
  name: string;
  /** Number of rows in the table. */
  count: number;
  features: number;
}

/** Emits the look-up: indices [...] int64 -> [..., features]. The table keeps the type of the file. */
export function embedding(
  graph: GraphBuilder,
  indices: Value,
  { name, count, features }: EmbeddingOptions,
): Value {
  const table = graph.weight(`${name}.weight`, [count, features], "stored");
  return graph.cast(graph.node("Gather", [table, indices], { attributes: { axis: 0 } }));
}
