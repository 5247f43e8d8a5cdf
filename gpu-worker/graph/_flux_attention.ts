// Projections of FLUX's attention: queries, keys and values of one token stream (diffusers' FluxAttention).
import type { FluxTransformerConfig } from "./flux_config.ts";
import type { GraphBuilder, Value } from "./graph_builder.ts";
import { attention, type AttentionInputs } from "./layers/attention.ts";
import { linear } from "./layers/linear.ts";
import { rmsNorm } from "./layers/rms_norm.ts";
import { rotary } from "./layers/rotary.ts";

/** Epsilon of every norm in the transformer. */
export const FLUX_NORM_EPS = 1e-6;

/** What all blocks of a graph share. */
export interface FluxContext {
  config: FluxTransformerConfig;
  /** Activated conditioning, [batch, innerDim]. */
  conditioning: Value;
  /** [text_tokens + image_tokens, head_dim / 2] float32 */
  rotaryCos: Value;
  rotarySin: Value;
  /** The two numbers of tokens, text first, [2] int64: how to split what was concatenated. */
  tokenCounts: Value;
}

export interface FluxProjectionOptions {
  config: FluxTransformerConfig;
  /** Name of the attention module. */
  name: string;
  /** Which of its two sets of projections: the image's (also that of single blocks), or the text's. */
  stream: "image" | "text";
}

const LAYERS = {
  image: { query: "to_q", key: "to_k", value: "to_v", queryNorm: "norm_q", keyNorm: "norm_k" },
  text: {
    query: "add_q_proj",
    key: "add_k_proj",
    value: "add_v_proj",
    queryNorm: "norm_added_q",
    keyNorm: "norm_added_k",
  },
} as const;

/** Emits queries and keys, normed head by head, and values: [batch, tokens, innerDim] each. */
export function fluxProjections(
  graph: GraphBuilder,
  x: Value,
  { config, name, stream }: FluxProjectionOptions,
): AttentionInputs {
  const { innerDim, numAttentionHeads: heads, attentionHeadDim: features } = config;
  const layers = LAYERS[stream];
  const project = (layer: string) =>
    linear(graph, x, { name: `${name}.${layer}`, inFeatures: innerDim, outFeatures: innerDim });
  const norm = (projected: Value, layer: string) => {
    const byHead = graph.node("Reshape", [projected, graph.ints(0, 0, heads, features)]);
    const normed = rmsNorm(graph, byHead, { name: `${name}.${layer}`, features, eps: FLUX_NORM_EPS });
    return graph.node("Reshape", [normed, graph.ints(0, 0, innerDim)]);
  };
  return {
    query: norm(project(layers.query), layers.queryNorm),
    key: norm(project(layers.key), layers.keyNorm),
    value: project(layers.value),
  };
}

/** Emits attention over all tokens, queries and keys rotated to their positions: [batch, tokens, innerDim]. */
export function fluxAttention(
  graph: GraphBuilder,
  { query, key, value }: AttentionInputs,
  { config, rotaryCos: cos, rotarySin: sin }: FluxContext,
): Value {
  const heads = config.numAttentionHeads;
  return attention(graph, {
    query: rotary(graph, query, { cos, sin, heads }),
    key: rotary(graph, key, { cos, sin, heads }),
    value,
  }, { heads });
}
