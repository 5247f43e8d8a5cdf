// torch.nn.LayerNorm with learnt scale and bias over the last axis.
import type { GraphBuilder, Value } from "../../graph_builder.ts";

export interface LayerNormOptions {
  /** Name of the module: `<name>.weight` and `<name>.bias`, both [features]. */
  name: string;
  features: number;
  eps: number;
}

/** Emits LayerNorm: [..., features] -> [..., features]. Moments are float32. */
export function layerNorm(graph: GraphBuilder, x: Value, { name, features, eps }: LayerNormOptions): Value {
  const scale = graph.weight(`${name}.weight`, [features]);
  const bias = graph.weight(`${name}.bias`, [features]);
  return graph.node("LayerNormalization", [x, scale, bias], {
    attributes: { axis: -1, epsilon: { float: eps } },
  });
}
