// Spectrum's forecast: a linear combination of past features (arXiv 2603.01623; the weights come from sampler/).
import type { GraphBuilder, Value } from "../graph_builder.ts";
import { weightedSumOfFlat } from "./weighted_sum.ts";

export interface ForecastInputs {
  /** [steps, anchors] float32 */
  weights: Value;
  /** [anchors, batch, ...dims], the features of full passes. Slots of weight 0 must still be finite. */
  history: Value;
}

/** Emits the forecasts of all steps, step-major: [steps * batch, ...dims], in the type of `history`. */
export function forecast(graph: GraphBuilder, { weights, history }: ForecastInputs): Value {
  const flat = graph.node("Reshape", [history, graph.ints(0, -1)]);
  const dims = graph.node("Shape", [history], { attributes: { start: 2 }, dtype: "int64" });
  const shape = graph.node("Concat", [graph.ints(-1), dims], { attributes: { axis: 0 } });
  return graph.node("Reshape", [weightedSumOfFlat(graph, { weights, rows: flat }), shape]);
}
