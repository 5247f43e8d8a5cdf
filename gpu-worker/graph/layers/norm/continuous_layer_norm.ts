// The adaptive norm that ends a stream: diffusers' AdaLayerNormContinuous, whose
// scale comes before the shift.
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { adaptiveLayerNorm } from "./adaptive_layer_norm.ts";
import { modulation } from "./modulation.ts";

export interface ContinuousLayerNormOptions {
  /** Name of the module, whose layer `linear` is [2 * features, features]. */
  name: string;
  /** Activated conditioning, [batch, features]. */
  conditioning: Value;
  features: number;
  eps: number;
  /** @default true */
  bias?: boolean;
}

/** Emits the norm: [batch, tokens, features] -> the same. */
export function continuousLayerNorm(
  graph: GraphBuilder,
  x: Value,
  { name, conditioning, features, eps, bias = true }: ContinuousLayerNormOptions,
): Value {
  const [scale, shift] = modulation(graph, conditioning, {
    name: `${name}.linear`,
    features,
    parts: 2,
    bias,
    asStored: true,
  }) as [
    Value,
    Value,
  ];
  return adaptiveLayerNorm(graph, x, { scale, shift, features, eps });
}
