// Spectrum's forecast: a linear combination of past features (arXiv 2603.01623; the weights come from sampler/).
import type { GraphBuilder, Value } from "../graph_builder.ts";

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
  return graph.node("Reshape", [combine(graph, weights, flat), shape]);
}

/** weights @ flat, [steps, anchors] x [anchors, n]. */
function combine(graph: GraphBuilder, weights: Value, flat: Value): Value {
  if (flat.dtype === "float32") return graph.node("MatMul", [weights, flat]);
  // Weights rounded to 16 bits would cost up to 0.4 % of each feature; the rest of the rounding has it back.
  const coarse = graph.cast(weights, flat.dtype);
  const rest = graph.node("Sub", [weights, graph.cast(coarse, "float32")]);
  const fine = graph.node("MatMul", [graph.cast(rest, flat.dtype), flat]);
  return graph.node("Gemm", [coarse, flat, fine]);
}
