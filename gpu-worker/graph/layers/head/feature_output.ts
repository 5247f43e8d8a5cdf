// The trunk's last-block feature as an output, and beside it how far a forecast of it would have been off.
import type { Dim, GraphBuilder, Value } from "../../graph_builder.ts";
import { forecast } from "./forecast.ts";

/**
 * Declares the output feature [batch, ...dims] in the compute type, and what measures a forecast of it in the same run:
 * inputs forecast_weights [1, anchors] float32 and history [anchors, batch, ...dims]; outputs forecast_distance and
 * feature_norm, float32 [batch] each, ||forecast - feature|| and ||feature|| of every row. A pass that measures nothing
 * feeds one anchor of weight 0; its history may be [1, 1, ...1], which broadcasts.
 */
export function featureOutput(graph: GraphBuilder, feature: Value, dims: readonly Dim[]): void {
  graph.output("feature", feature, ["batch", ...dims]);
  graph.scope("forecast_error", () => {
    const weights = graph.input("forecast_weights", [1, "anchors"], "float32");
    // Free dimensions, so that the one element of a pass without history is let in.
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
