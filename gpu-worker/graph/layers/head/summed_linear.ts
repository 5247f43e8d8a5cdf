// A linear layer on weighted sums of rows. The layer commutes with the sum, so it runs on the sums:
// there are fewer sums than rows.
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { hasBias, type LinearOptions, linearProduct } from "../dense/linear.ts";
import { weightedSum } from "./weighted_sum.ts";

export interface SummedLinearInputs {
  /** [sums, rows] float32 */
  weights: Value;
  /** [rows, tokens, inFeatures] */
  rows: Value;
  /** Added to every token of its row, [rows, inFeatures]. @default nothing */
  shift?: Value;
}

/** Emits the sums of linear(rows + shift): [sums, tokens, outFeatures]. */
export function summedLinear(
  graph: GraphBuilder,
  { weights, rows, shift }: SummedLinearInputs,
  options: LinearOptions,
): Value {
  const product = linearProduct(graph, weightedSum(graph, { weights, rows }), options);
  // The part that is the same for all tokens: one row for each sum.
  let constant = hasBias(graph, options) ? summedBias(graph, weights, options) : undefined;
  if (shift) {
    const shifts = linearProduct(graph, weightedSum(graph, { weights, rows: shift }), options);
    constant = constant ? graph.node("Add", [shifts, constant]) : shifts;
  }
  return constant
    ? graph.node("Add", [product, graph.node("Unsqueeze", [constant, graph.ints(1)])])
    : product;
}

/** Emits the layer's bias, multiplied by the total weight of each sum: [sums, outFeatures]. */
export function summedBias(
  graph: GraphBuilder,
  weights: Value,
  { name, outFeatures, dtype = graph.dtype }: Pick<LinearOptions, "name" | "outFeatures" | "dtype">,
): Value {
  const bias = graph.weight(`${name}.bias`, [outFeatures], "float32");
  const counts = graph.node("ReduceSum", [weights, graph.ints(1)]);
  return graph.cast(graph.node("Mul", [counts, bias]), dtype);
}
