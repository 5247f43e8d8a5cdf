// The end of a transformer's trunk: adaptive norm and projection (norm_out and proj_out). Behind forecasts it is `forecastOutput`.
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { continuousLayerNorm } from "../norm/continuous_layer_norm.ts";
import { linear, type LinearOptions } from "../dense/linear.ts";

export interface OutputLayersOptions {
  /** Activated conditioning, [batch, features]. */
  conditioning: Value;
  /** proj_out; its inFeatures are those of the norm. */
  projection: LinearOptions;
  /** Of the norm. */
  eps: number;
}

/** Emits [batch, tokens, features] -> [batch, tokens, outFeatures]. */
export function outputLayers(
  graph: GraphBuilder,
  tokens: Value,
  { conditioning, projection, eps }: OutputLayersOptions,
): Value {
  const { inFeatures: features } = projection;
  const normed = continuousLayerNorm(graph, tokens, { name: "norm_out", conditioning, features, eps });
  return linear(graph, normed, projection);
}
