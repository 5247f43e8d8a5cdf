// The inputs of a trunk to which a ControlNet adds, and the names that its outputs share with them.
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";

const AXES = ["batch", "channels", "height", "width"];

/** Returns the residuals' names: one for each of `maps` maps of the way down, and one for the middle. */
export function residualNames(maps: number): string[] {
  return [...Array.from({ length: maps }, (_, i) => `residual_${i}`), "residual_mid"];
}

/**
 * Declares the input `name` and adds it to `map`. All its sizes are free, so that a single zero broadcasts.
 */
export function residualInput(graph: GraphBuilder, map: Value, name: string): Value {
  return graph.node("Add", [map, graph.input(name, AXES.map((axis) => `${name}_${axis}`))]);
}
