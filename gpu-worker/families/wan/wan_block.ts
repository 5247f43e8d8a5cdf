// One block of Wan (diffusers' WanTransformerBlock): self-attention, attention to the text, MLP.
import { tableModulation } from "./wan_conditioning.ts";
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";
import { activation } from "../../graph/layers/dense/activation.ts";
import { attention } from "../../graph/layers/attention/attention.ts";
import { float32LayerNorm, modulatedLayerNorm } from "../../graph/layers/norm/float32_layer_norm.ts";
import { linear } from "../../graph/layers/dense/linear.ts";
import { rmsNorm } from "../../graph/layers/norm/rms_norm.ts";
import type { WanTransformerConfig } from "./wan_config.ts";

export interface WanBlockOptions {
  name: string;
  config: WanTransformerConfig;
  /** The text in the block's width, [batch, text_tokens, innerDim]. */
  text: Value;
  /** [batch, 6, innerDim] float32 */
  time: Value;
  /** Rotates queries and keys of the video by their positions. */
  rotate: (tokens: Value) => Value;
}

/** Emits the block: [batch, tokens, innerDim] -> the same. */
export function wanBlock(graph: GraphBuilder, x: Value, options: WanBlockOptions): Value {
  const { name, config, text, time, rotate } = options;
  const { innerDim: features, eps } = config;
  const table = { name: `${name}.scale_shift_table`, parts: 6, features };
  const [shift, scale, gate, mlpShift, mlpScale, mlpGate] = tableModulation(graph, time, table) as [
    Value,
    Value,
    Value,
    Value,
    Value,
    Value,
  ];

  const forSelf = modulatedLayerNorm(graph, x, { scale, shift, features, eps });
  const own = graph.scope(
    "attn1",
    () => wanAttention(graph, { from: forSelf, to: forSelf }, { name: `${name}.attn1`, config, rotate }),
  );
  x = addGated(graph, x, { branch: own, gate });

  const forText = config.crossAttnNorm
    ? float32LayerNorm(graph, x, { name: `${name}.norm2`, features, eps })
    : x;
  const read = graph.scope(
    "attn2",
    () => wanAttention(graph, { from: forText, to: text }, { name: `${name}.attn2`, config }),
  );
  x = graph.node("Add", [x, read]);

  const forMlp = modulatedLayerNorm(graph, x, { scale: mlpScale, shift: mlpShift, features, eps });
  return addGated(graph, x, { branch: mlp(graph, forMlp, { name: `${name}.ffn`, config }), gate: mlpGate });
}

interface WanAttentionOptions {
  name: string;
  config: WanTransformerConfig;
  /** @default no rotation */
  rotate?: (tokens: Value) => Value;
}

/**
 * Emits attention with queries from one stream and keys and values from the same or another. Queries and keys
 * are normed over all heads together.
 */
function wanAttention(
  graph: GraphBuilder,
  { from, to }: { from: Value; to: Value },
  { name, config, rotate = (tokens) => tokens }: WanAttentionOptions,
): Value {
  const { innerDim: features, numAttentionHeads: heads, eps } = config;
  const project = (x: Value, part: string) =>
    linear(graph, x, { name: `${name}.${part}`, inFeatures: features, outFeatures: features });
  const normed = (x: Value, part: "q" | "k") =>
    rmsNorm(graph, project(x, `to_${part}`), { name: `${name}.norm_${part}`, features, eps });
  const inputs = {
    query: rotate(normed(from, "q")),
    key: rotate(normed(to, "k")),
    value: project(to, "to_v"),
  };
  return project(attention(graph, inputs, { heads }), "to_out.0");
}

function mlp(
  graph: GraphBuilder,
  x: Value,
  { name, config: { innerDim, ffnDim } }: { name: string; config: WanTransformerConfig },
): Value {
  const hidden = linear(graph, x, {
    name: `${name}.net.0.proj`,
    inFeatures: innerDim,
    outFeatures: ffnDim,
  });
  return linear(graph, activation(graph, hidden, "gelu_pytorch_tanh"), {
    name: `${name}.net.2`,
    inFeatures: ffnDim,
    outFeatures: innerDim,
  });
}

/** Emits x + gate * branch. Like diffusers it adds in float32 and returns the type of `x`. */
function addGated(graph: GraphBuilder, x: Value, { branch, gate }: { branch: Value; gate: Value }): Value {
  const gated = graph.node("Mul", [graph.cast(branch, "float32"), gate]);
  return graph.cast(graph.node("Add", [graph.cast(x, "float32"), gated]), x.dtype);
}
