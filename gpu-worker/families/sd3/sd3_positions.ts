// Positions of image tokens: the middle of a fixed table, which diffusers'
// PatchEmbed crops (cropped_pos_embed).
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";
import type { Sd3TransformerConfig } from "./sd3_config.ts";

export interface Sd3PositionsOptions {
  config: Sd3TransformerConfig;
  /** Rows and columns of patches, [2] int64. Neither may exceed the side of the table. */
  grid: Value;
}

/** Emits the embeddings of all tokens, row-major: [1, rows * columns, innerDim]. */
export function sd3Positions(graph: GraphBuilder, { config, grid }: Sd3PositionsOptions): Value {
  const { posEmbedMaxSize: side, innerDim } = config;
  const rows = graph.weight("pos_embed.pos_embed", [1, side * side, innerDim]);
  const table = graph.node("Reshape", [rows, graph.ints(side, side, innerDim)]);
  const margin = graph.node("Sub", [graph.ints(side), grid]);
  const start = graph.node("Div", [margin, graph.ints(2)]);
  const end = graph.node("Add", [start, grid]);
  const cropped = graph.node("Slice", [table, start, end, graph.ints(0, 1)]);
  return graph.node("Reshape", [cropped, graph.ints(1, -1, innerDim)]);
}
