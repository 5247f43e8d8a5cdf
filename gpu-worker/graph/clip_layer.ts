// One layer of CLIP's encoders (transformers' CLIPEncoderLayer), which texts and pictures share.
import type { GraphBuilder, Value } from "./graph_builder.ts";
import { attention } from "./layers/attention/attention.ts";
import { activation, type ActivationName } from "./layers/dense/activation.ts";
import { linear } from "./layers/dense/linear.ts";
import { layerNorm } from "./layers/norm/layer_norm.ts";

export interface ClipLayerOptions {
  /** Name of the layer: "encoder.layers.0". */
  name: string;
  config: {
    hidden_size: number;
    intermediate_size: number;
    num_attention_heads: number;
    layer_norm_eps: number;
    hidden_act: ActivationName;
  };
  /** Whether each token attends only to itself and earlier tokens. */
  causal: boolean;
}

/** Emits the layer: [batch, tokens, hidden_size] -> the same. */
export function clipLayer(graph: GraphBuilder, x: Value, { config, name, causal }: ClipLayerOptions): Value {
  const { hidden_size: features, intermediate_size, num_attention_heads: heads, layer_norm_eps: eps } =
    config;
  const project = (from: Value, projection: string) =>
    linear(graph, from, {
      name: `${name}.self_attn.${projection}`,
      inFeatures: features,
      outFeatures: features,
    });

  const normed = layerNorm(graph, x, { name: `${name}.layer_norm1`, features, eps });
  const attended = attention(graph, {
    query: project(normed, "q_proj"),
    key: project(normed, "k_proj"),
    value: project(normed, "v_proj"),
  }, { heads, causal });
  const middle = graph.node("Add", [x, project(attended, "out_proj")]);

  const wide = linear(graph, layerNorm(graph, middle, { name: `${name}.layer_norm2`, features, eps }), {
    name: `${name}.mlp.fc1`,
    inFeatures: features,
    outFeatures: intermediate_size,
  });
  const narrow = linear(graph, activation(graph, wide, config.hidden_act), {
    name: `${name}.mlp.fc2`,
    inFeatures: intermediate_size,
    outFeatures: features,
  });
  return graph.node("Add", [middle, narrow]);
}
