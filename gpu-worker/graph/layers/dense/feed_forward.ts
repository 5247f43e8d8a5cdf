// A transformer's MLP without a gate (diffusers' FeedForward, "gelu-approximate" and "linear-silu").
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { activation, type ActivationName } from "./activation.ts";
import { linear } from "./linear.ts";

export interface FeedForwardOptions {
  /** Name of the module, with layers net.0.proj and net.2. */
  name: string;
  features: number;
  /** Features between the layers. @default 4 * features */
  hiddenFeatures?: number | undefined;
  /** @default "gelu_pytorch_tanh" */
  act?: ActivationName;
}

/** Emits the MLP: [batch, tokens, features] -> the same. */
export function feedForward(graph: GraphBuilder, x: Value, options: FeedForwardOptions): Value {
  const { name, features, hiddenFeatures: wide = 4 * features, act = "gelu_pytorch_tanh" } = options;
  const hidden = linear(graph, x, { name: `${name}.net.0.proj`, inFeatures: features, outFeatures: wide });
  return linear(graph, activation(graph, hidden, act), {
    name: `${name}.net.2`,
    inFeatures: wide,
    outFeatures: features,
  });
}
