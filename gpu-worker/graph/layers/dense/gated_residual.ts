// The residual connection of adaLN-Zero blocks.
import type { GraphBuilder, Value } from "../../graph_builder.ts";

export interface GatedResidualOptions {
  /** [batch, 1, features] */
  gate: Value;
  /** [batch, tokens, features] */
  branch: Value;
}

/** Emits x + gate * branch. */
export function gatedResidual(graph: GraphBuilder, x: Value, { gate, branch }: GatedResidualOptions): Value {
  return graph.node("Add", [x, graph.node("Mul", [branch, gate])]);
}
