// A transformer's MLP with a gate (diffusers' FeedForward, "geglu").
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { activation } from "./activation.ts";
import { linear } from "./linear.ts";

export interface GatedFeedForwardOptions {
  /** Name of the module, with layers net.0.proj and net.2. */
  name: string;
  features: number;
}

/**
 * Emits net.2(x' gelu(gate)), where x' and gate have four times the features:
 * [batch, tokens, features] -> the same.
 */
export function gatedFeedForward(
  graph: GraphBuilder,
  x: Value,
  { name, features }: GatedFeedForwardOptions,
): Value {
  const wide = 4 * features;
  const both = linear(graph, x, { name: `${name}.net.0.proj`, inFeatures: features, outFeatures: 2 * wide });
  const [hidden, gate] = graph.nodes("Split", [both], {
    attributes: { axis: -1, num_outputs: 2 },
    outputs: 2,
  });
  const gated = graph.node("Mul", [hidden, activation(graph, gate!, "gelu")]);
  return linear(graph, gated, { name: `${name}.net.2`, inFeatures: wide, outFeatures: features });
}
