// Refines HunyuanVideo's text tokens at each timestep, before they meet the video (HunyuanVideoTokenRefiner).
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";
import type { HunyuanVideoTransformerConfig } from "./hunyuan_video_config.ts";
import { attention } from "../../graph/layers/attention/attention.ts";
import { combinedEmbedding } from "../../graph/layers/dense/combined_embedding.ts";
import { feedForward } from "../../graph/layers/dense/feed_forward.ts";
import { gatedResidual } from "../../graph/layers/dense/gated_residual.ts";
import { JOINT_EPS } from "../../graph/layers/attention/joint_attention.ts";
import { layerNorm } from "../../graph/layers/norm/layer_norm.ts";
import { linear } from "../../graph/layers/dense/linear.ts";
import { modulation } from "../../graph/layers/norm/modulation.ts";

export interface HunyuanVideoRefinerOptions {
  config: HunyuanVideoTransformerConfig;
  /** [batch] float32, 0..1000 */
  timestep: Value;
}

const NAME = "context_embedder";

/**
 * Emits the refiner: text [batch, text_tokens, text_embed_dim] -> [batch, text_tokens, innerDim].
 * The tokens contain no padding. diffusers masks padding from every token that is read
 * later, which gives the same result.
 */
export function hunyuanVideoRefiner(
  graph: GraphBuilder,
  text: Value,
  { config, timestep }: HunyuanVideoRefinerOptions,
): Value {
  const { textEmbedDim, innerDim: features } = config;
  // diffusers computes the mean in float32, whatever the states' type.
  const mean = graph.node("ReduceMean", [graph.cast(text, "float32"), graph.ints(1)], {
    attributes: { keepdims: 0 },
  });
  const conditioning = combinedEmbedding(graph, { timestep, pooled: graph.cast(mean) }, {
    name: `${NAME}.time_text_embed`,
    pooledDim: textEmbedDim,
    features,
  });
  let tokens = linear(graph, text, {
    name: `${NAME}.proj_in`,
    inFeatures: textEmbedDim,
    outFeatures: features,
    asStored: true,
  });
  for (let i = 0; i < config.numRefinerLayers; i++) {
    const name = `${NAME}.token_refiner.refiner_blocks.${i}`;
    tokens = graph.scope(`block_${i}`, () => refinerBlock(graph, tokens, { name, config, conditioning }));
  }
  return tokens;
}

function refinerBlock(
  graph: GraphBuilder,
  x: Value,
  { name, config, conditioning }: {
    name: string;
    config: HunyuanVideoTransformerConfig;
    conditioning: Value;
  },
): Value {
  const { innerDim: features, numAttentionHeads: heads } = config;
  const [gate, mlpGate] = modulation(graph, conditioning, {
    name: `${name}.norm_out.linear`,
    features,
    parts: 2,
  }) as [Value, Value];
  const norm = (tokens: Value, part: "norm1" | "norm2") =>
    layerNorm(graph, tokens, { name: `${name}.${part}`, features, eps: JOINT_EPS });
  const project = (tokens: Value, layer: string) =>
    linear(graph, tokens, { name: `${name}.attn.${layer}`, inFeatures: features, outFeatures: features });

  const normed = norm(x, "norm1");
  const attended = attention(graph, {
    query: project(normed, "to_q"),
    key: project(normed, "to_k"),
    value: project(normed, "to_v"),
  }, { heads });
  const middle = gatedResidual(graph, x, { gate, branch: project(attended, "to_out.0") });
  const branch = feedForward(graph, norm(middle, "norm2"), { name: `${name}.ff`, features, act: "silu" });
  return gatedResidual(graph, middle, { gate: mlpGate, branch });
}
