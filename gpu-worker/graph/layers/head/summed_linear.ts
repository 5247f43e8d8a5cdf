// A linear layer behind a weighted sum of rows: it commutes with the sum and so runs on the sums, of which there are fewer.
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { linear, type LinearOptions } from "../dense/linear.ts";
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
  const product = linear(graph, weightedSum(graph, { weights, rows }), { ...options, bias: false });
  // What is the same for all tokens: a row of its own for each sum.
  let constant = summedBias(graph, weights, options);
  if (shift) {
    const shifts = linear(graph, weightedSum(graph, { weights, rows: shift }), { ...options, bias: false });
    constant = graph.node("Add", [shifts, constant]);
  }
  return graph.node("Add", [product, graph.node("Unsqueeze", [constant, graph.ints(1)])]);
}

/** Emits the layer's bias as often as each sum counts it: [sums, outFeatures]. */
export function summedBias(
  graph: GraphBuilder,
  weights: Value,
  { name, outFeatures, dtype = graph.dtype }: Pick<LinearOptions, "name" | "outFeatures" | "dtype">,
): Value {
  const bias = graph.weight(`${name}.bias`, [outFeatures], "float32");
  const counts = graph.node("ReduceSum", [weights, graph.ints(1)]);
  return graph.cast(graph.node("Mul", [counts, bias]), dtype);
}
