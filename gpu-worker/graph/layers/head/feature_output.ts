// The trunk's feature as an output, and the measured error of its forecast.
import type { Dim, GraphBuilder, Value } from "../../graph_builder.ts";
import { forecast } from "./forecast.ts";

/**
 * Declares the output feature [batch, ...dims] in the compute type, and measures a forecast of the feature in
 * the same run.
 * Inputs: forecast_weights [1, anchors] float32; history [anchors, batch, ...dims].
 * Outputs, float32 [batch]: forecast_distance is the length of forecast - feature, feature_norm that of the
 * feature.
 * A pass that measures nothing feeds one anchor of weight 0. Its history may be [1, 1, ...1], which
 * broadcasts.
 */
export function featureOutput(graph: GraphBuilder, feature: Value, dims: readonly Dim[]): void {
  graph.output("feature", feature, ["batch", ...dims]);
  graph.scope("forecast_error", () => {
    const weights = graph.input("forecast_weights", [1, "anchors"], "float32");
    // Free dimensions allow the single element that a pass without history feeds.
    const free = ["batch", ...dims].map((_, axis) => `history_dim_${axis}`);
    const history = graph.input("history", ["anchors", ...free]);
    const truth = graph.cast(feature, "float32");
    const difference = graph.node("Sub", [
      graph.cast(forecast(graph, { weights, history }), "float32"),
      truth,
    ]);
    const axes = graph.ints(...dims.map((_, axis) => axis + 1));
    const norm = (x: Value) => graph.node("ReduceL2", [x, axes], { attributes: { keepdims: 0 } });
    graph.output("forecast_distance", norm(difference), ["batch"]);
    graph.output("feature_norm", norm(truth), ["batch"]);
  });
}
