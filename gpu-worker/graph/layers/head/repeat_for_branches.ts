// Conditioning that depends on the timestep alone, repeated for the branches of every step.
import type { GraphBuilder, Value } from "../../graph_builder.ts";

/**
 * Declares the input branches [branches] float32, of which only the length matters, and emits
 * every row of `x` that often.
 * @param x [steps, ...dims]
 * @returns [steps * branches, ...dims], step-major
 */
export function repeatForBranches(graph: GraphBuilder, x: Value, dims: readonly number[]): Value {
  const branches = graph.input("branches", ["branches"], "float32");
  const count = graph.node("Shape", [branches], { dtype: "int64" });
  const ones = graph.ints(...dims.map(() => 1));
  const shape = graph.node("Concat", [graph.ints(1), count, ones], { attributes: { axis: 0 } });
  const repeated = graph.node("Expand", [graph.node("Unsqueeze", [x, graph.ints(1)]), shape]);
  return graph.node("Reshape", [repeated, graph.ints(-1, ...dims)]);
}
