// The end of a transformer after forecasts: adaptive norm, guidance and sums of steps, projection.
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import type { LinearOptions } from "../dense/linear.ts";
import { modulationInputs } from "./modulation_outputs.ts";
import { summedLinear } from "./summed_linear.ts";

export interface ForecastOutputOptions {
  /** The projection. Its inFeatures are the norm's features. */
  projection: LinearOptions;
  /** Epsilon of the norm. */
  eps: number;
}

/**
 * Emits the weighted sums over the rows of projection(norm(feature) * scale + shift): feature [rows, tokens,
 * features] -> [outputs, tokens, outFeatures].
 * Declares the inputs scale [rows, 1, features] and shift [rows, features] (`modulationOutputs`),
 * and output_weights [outputs, rows] float32. Guidance is such a sum over branches, and a
 * solver's move is such a sum over steps.
 */
export function forecastOutput(
  graph: GraphBuilder,
  feature: Value,
  { projection, eps }: ForecastOutputOptions,
): Value {
  const { inFeatures: features } = projection;
  const weights = graph.input("output_weights", ["outputs", "rows"], "float32");
  const { scale, shift } = modulationInputs(graph, features);
  const attributes = { axis: -1, epsilon: { float: eps } };
  if (graph.dtype !== "float32") {
    // One kernel on a GPU, with moments in float32 (adaptiveLayerNorm).
    const bias = graph.node("Unsqueeze", [shift, graph.ints(1)]);
    const rows = graph.node("LayerNormalization", [feature, scale, bias], { attributes });
    return summedLinear(graph, { weights, rows }, projection);
  }
  const ones = graph.constant(new Array(features).fill(1));
  const normed = graph.node("LayerNormalization", [feature, ones], { attributes });
  return summedLinear(graph, { weights, rows: graph.node("Mul", [normed, scale]), shift }, projection);
}
