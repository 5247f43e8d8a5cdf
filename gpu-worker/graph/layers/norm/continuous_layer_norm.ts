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
  const { scale, shift } = continuousModulation(graph, conditioning, { name, features, bias });
  return adaptiveLayerNorm(graph, x, { scale, shift, features, eps });
}

/** Emits the norm's scale and shift, [batch, 1, features]; 1 is not yet added to the scale. */
export function continuousModulation(
  graph: GraphBuilder,
  conditioning: Value,
  { name, features, bias }: Required<Pick<ContinuousLayerNormOptions, "name" | "features" | "bias">>,
): { scale: Value; shift: Value } {
  const linear = { name: `${name}.linear`, features, parts: 2, bias, asStored: true };
  const [scale, shift] = modulation(graph, conditioning, linear) as [Value, Value];
  return { scale, shift };
}
