// Weighted sums of rows with float32 weights, whatever type the rows have.
import type { GraphBuilder, Value } from "../../graph_builder.ts";

export interface WeightedSumInputs {
  /** [sums, rows] float32 */
  weights: Value;
  /** [rows, ...dims] */
  rows: Value;
}

/** Emits all sums: [sums, ...dims] in the type of `rows`. */
export function weightedSum(graph: GraphBuilder, { weights, rows }: WeightedSumInputs): Value {
  const flat = graph.node("Reshape", [rows, graph.ints(0, -1)]);
  const dims = graph.node("Shape", [rows], { attributes: { start: 1 }, dtype: "int64" });
  const shape = graph.node("Concat", [graph.ints(-1), dims], { attributes: { axis: 0 } });
  return graph.node("Reshape", [weightedSumOfFlat(graph, { weights, rows: flat }), shape]);
}

/** Emits weights @ rows, [sums, n], of rows [rows, n]. */
export function weightedSumOfFlat(graph: GraphBuilder, { weights, rows }: WeightedSumInputs): Value {
  if (rows.dtype === "float32") return graph.node("MatMul", [weights, rows]);
  // Weights rounded to 16 bits would be off by up to 0.4 % of each row. A second sum with the
  // rounding errors corrects that.
  const coarse = graph.cast(weights, rows.dtype);
  const rest = graph.node("Sub", [weights, graph.cast(coarse, "float32")]);
  const fine = graph.node("MatMul", [graph.cast(rest, rows.dtype), rows]);
  return graph.node("Gemm", [coarse, rows, fine]);
}
