// Spectrum's forecast: a linear combination of past features (arXiv 2603.01623; the
// weights come from sampler/).
import type { Dim, GraphBuilder, Value } from "../../graph_builder.ts";
import { weightedSumOfFlat } from "./weighted_sum.ts";

export interface ForecastOperands {
  /** [steps, anchors] float32 */
  weights: Value;
  /** [anchors, batch, ...dims], the features of full passes. Slots with weight 0 must be finite too. */
  history: Value;
}

/** Emits the forecasts of all steps, step-major: [steps * batch, ...dims], in the type of `history`. */
export function forecast(graph: GraphBuilder, { weights, history }: ForecastOperands): Value {
  const flat = graph.node("Reshape", [history, graph.ints(0, -1)]);
  const dims = graph.node("Shape", [history], { attributes: { start: 2 }, dtype: "int64" });
  const shape = graph.node("Concat", [graph.ints(-1), dims], { attributes: { axis: 0 } });
  return graph.node("Reshape", [weightedSumOfFlat(graph, { weights, rows: flat }), shape]);
}

/**
 * Starts a head: declares the inputs forecast_weights [steps, anchors] float32 and history [anchors, batch,
 * ...dims], and emits the forecasts, [steps * batch, ...dims].
 */
export function forecastInputs(
  graph: GraphBuilder,
  dims: readonly Dim[],
): { feature: Value; history: Value } {
  const weights = graph.input("forecast_weights", ["steps", "anchors"], "float32");
  const history = graph.input("history", ["anchors", "batch", ...dims]);
  return { feature: graph.scope("forecast", () => forecast(graph, { weights, history })), history };
}
