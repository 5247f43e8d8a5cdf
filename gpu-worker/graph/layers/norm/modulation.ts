// The learnt shifts, scales and gates of adaptive norms (adaLN-Zero), one set per picture of the batch.
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { linear } from "../dense/linear.ts";

export interface ModulationOptions {
  /** Name of the linear layer, [parts * features, features]. */
  name: string;
  features: number;
  parts: number;
  /** @default true */
  bias?: boolean;
  /** As in `LinearOptions`. @default false */
  asStored?: boolean;
}

/**
 * Emits the layer on the activated conditioning [batch, features], split into
 * `parts` vectors [batch, 1, features].
 */
export function modulation(
  graph: GraphBuilder,
  conditioning: Value,
  { name, features, parts, bias = true, asStored = false }: ModulationOptions,
): Value[] {
  const all = linear(graph, conditioning, {
    name,
    inFeatures: features,
    outFeatures: parts * features,
    bias,
    asStored,
  });
  const stacked = graph.node("Reshape", [all, graph.ints(0, parts, features)]);
  return graph.nodes("Split", [stacked], { attributes: { axis: 1, num_outputs: parts }, outputs: parts });
}
