// How far a forecast would have been from the truth, measured at a full pass before its feature joins the history.
import type { DType } from "../runtime/dtype.ts";
import { GraphBuilder, type OnnxModel } from "./graph_builder.ts";
import { forecast } from "./layers/forecast.ts";

export interface ForecastErrorOptions {
  /** Names or sizes of the feature's dimensions after the batch, e.g. ["image_tokens", 3072]. */
  dims: readonly (number | string)[];
  /** Type of history and feature. */
  dtype: DType;
}

/**
 * Builds the graph that returns relative_error = ||forecast - feature|| / ||feature||, a float32 scalar, from
 * forecast_weights [1, anchors] float32, history [anchors, batch, ...dims] and feature [batch, ...dims].
 */
export function forecastErrorGraph({ dims, dtype }: ForecastErrorOptions): OnnxModel {
  const graph = new GraphBuilder({ name: "forecast_error", weights: new Map(), dtype });
  const weights = graph.input("forecast_weights", [1, "anchors"], "float32");
  const history = graph.input("history", ["anchors", "batch", ...dims]);
  const truth = graph.cast(graph.input("feature", ["batch", ...dims]), "float32");
  const guess = graph.cast(forecast(graph, { weights, history }), "float32");
  const difference = graph.node("Sub", [guess, truth]);
  const norm = (x: typeof truth) => graph.node("ReduceL2", [x], { attributes: { keepdims: 0 } });
  graph.output("relative_error", graph.node("Div", [norm(difference), norm(truth)]), []);
  return graph.build();
}
