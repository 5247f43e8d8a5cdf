// The graph that adds one feature to forecasts, for providers that keep each feature in a tensor of its own.
import type { DType } from "../runtime/dtype.ts";
import { GraphBuilder, type OnnxModel } from "./graph_builder.ts";

/**
 * Builds the graph. Inputs: sum [steps, n or 1] float32, weights [steps, 1] float32, feature [1, n] in
 * `dtype`. Outputs: next [steps, n] float32, which is sum + weights * feature; history, the same in
 * `dtype`, unless that is float32.
 */
export function featureSum(dtype: DType): OnnxModel {
  const graph = new GraphBuilder({ name: "feature_sum", weights: new Map(), dtype });
  const sum = graph.input("sum", ["steps", "n_or_1"], "float32");
  const weights = graph.input("weights", ["steps", 1], "float32");
  const feature = graph.cast(graph.input("feature", [1, "n"]), "float32");
  const next = graph.node("Add", [graph.node("Mul", [weights, feature]), sum]);
  graph.output("next", next, ["steps", "n"]);
  if (dtype !== "float32") graph.output("history", graph.cast(next), ["steps", "n"]);
  return graph.build();
}
