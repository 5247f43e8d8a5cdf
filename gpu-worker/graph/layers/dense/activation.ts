// Activation functions by the names in transformers' and diffusers' ACT2CLS.
import type { GraphBuilder, Value } from "../../graph_builder.ts";

/** Name in a config -> function. Names with the same value compute the same function. */
export const ACTIVATIONS = {
  gelu: "gelu",
  gelu_python: "gelu",
  gelu_new: "geluTanh",
  gelu_fast: "geluTanh",
  gelu_accurate: "geluTanh",
  gelu_pytorch_tanh: "geluTanh",
  gelu_python_tanh: "geluTanh",
  quick_gelu: "quickGelu",
  silu: "silu",
  swish: "silu",
  relu: "relu",
  mish: "mish",
} as const;

export type ActivationName = keyof typeof ACTIVATIONS;

/** Names in diffusers' ACT2CLS, which ignores case. All have the same meaning in transformers. */
export const DIFFUSERS_ACTIVATIONS = [
  "swish",
  "silu",
  "mish",
  "gelu",
  "relu",
] as const satisfies ActivationName[];

/** Emits the activation `name`, elementwise. */
export function activation(graph: GraphBuilder, x: Value, name: ActivationName): Value {
  const kind = ACTIVATIONS[name];
  switch (kind) {
    case "gelu":
      return graph.node("Gelu", [x], { domain: "com.microsoft" });
    case "geluTanh":
      return graph.node("FastGelu", [x], { domain: "com.microsoft" });
    case "quickGelu":
      return xSigmoid(graph, x, 1.702);
    case "silu":
      return xSigmoid(graph, x, 1);
    case "relu":
      return graph.node("Relu", [x]);
    case "mish":
      return graph.node("Mish", [x]);
    default:
      return kind satisfies never;
  }
}

/** Emits x sigmoid(alpha x) in one pass over the data. */
function xSigmoid(graph: GraphBuilder, x: Value, alpha: number): Value {
  return graph.node("QuickGelu", [x], { domain: "com.microsoft", attributes: { alpha: { float: alpha } } });
}
