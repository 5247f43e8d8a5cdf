// Root-mean-square normalisation with a learnt scale (T5LayerNorm, diffusers' RMSNorm).
import type { GraphBuilder, Value } from "../../graph_builder.ts";

export interface RmsNormOptions {
  /** Name of the module: `<name>.weight` [features]. */
  name: string;
  features: number;
  eps: number;
}

/** Emits x / sqrt(mean(x^2) + eps) * weight over the last axis, in the type of `x`. The mean is float32. */
export function rmsNorm(graph: GraphBuilder, x: Value, { name, features, eps }: RmsNormOptions): Value {
  return graph.node(
    "SimplifiedLayerNormalization",
    [x, graph.weight(`${name}.weight`, [features], x.dtype)],
    {
      attributes: { axis: -1, epsilon: { float: eps } },
    },
  );
}
