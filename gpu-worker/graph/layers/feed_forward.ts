// A transformer's MLP four times as wide as its stream (diffusers' FeedForward, "gelu-approximate").
import type { GraphBuilder, Value } from "../graph_builder.ts";
import { activation } from "./activation.ts";
import { linear } from "./linear.ts";

export interface FeedForwardOptions {
  /** Name of the module, with layers net.0.proj and net.2. */
  name: string;
  features: number;
}

/** Emits the MLP: [batch, tokens, features] -> the same. */
export function feedForward(graph: GraphBuilder, x: Value, { name, features }: FeedForwardOptions): Value {
  const wide = 4 * features;
  const hidden = linear(graph, x, { name: `${name}.net.0.proj`, inFeatures: features, outFeatures: wide });
  return linear(graph, activation(graph, hidden, "gelu_pytorch_tanh"), {
    name: `${name}.net.2`,
    inFeatures: wide,
    outFeatures: features,
  });
}
