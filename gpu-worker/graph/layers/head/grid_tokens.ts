// Tokens on a grid, such as patches of latents. Their feature leaves the trunk with the grid as dimensions,
// which tell the head the size of its output.
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { featureOutput } from "./feature_output.ts";
import { forecastInputs } from "./forecast.ts";

export interface GridTokens {
  /** [rows, tokens, features] */
  tokens: Value;
  /** Number of tokens along each axis, first axis outermost, [axes] int64. */
  grid: Value;
}

export interface GridTokensOptions {
  /** Names of the grid's dimensions. */
  axes: readonly string[];
  features: number;
}

/** Declares the outputs of {@link featureOutput} for the feature [batch, ...axes, features]. */
export function gridFeatureOutput(
  graph: GraphBuilder,
  { tokens, grid }: GridTokens,
  { axes, features }: GridTokensOptions,
): void {
  const shape = graph.node("Concat", [graph.ints(0), grid, graph.ints(features)], {
    attributes: { axis: 0 },
  });
  featureOutput(graph, graph.node("Reshape", [tokens, shape]), [...axes, features]);
}

/**
 * Declares {@link forecastInputs} for features [batch, ...axes, features] and emits the
 * forecasts, rows = steps * batch.
 */
export function gridForecast(graph: GraphBuilder, { axes, features }: GridTokensOptions): GridTokens {
  const { feature, history } = forecastInputs(graph, [...axes, features]);
  const grid = graph.node("Shape", [history], {
    attributes: { start: 2, end: 2 + axes.length },
    dtype: "int64",
  });
  return { tokens: graph.node("Reshape", [feature, graph.ints(0, -1, features)]), grid };
}
