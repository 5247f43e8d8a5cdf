import type { GraphBuilder, Value } from "./graph_builder.ts";

/** Emits sizes one after the other, as Reshape takes them: [n] int64 each. */
export function joinSizes(graph: GraphBuilder, parts: readonly Value[]): Value {
  return graph.node("Concat", parts, { attributes: { axis: 0 } });
}
