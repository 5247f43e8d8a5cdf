// The transformers between a UNet's resnets (diffusers' Transformer2DModel of BasicTransformerBlocks).
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";
import { attention } from "../../graph/layers/attention/attention.ts";
import { conv2d } from "../../graph/layers/convolution/conv2d.ts";
import { gatedFeedForward } from "../../graph/layers/dense/gated_feed_forward.ts";
import { groupNorm } from "../../graph/layers/norm/group_norm.ts";
import { layerNorm } from "../../graph/layers/norm/layer_norm.ts";
import { linear } from "../../graph/layers/dense/linear.ts";
import type { UNetContext } from "./unet_context.ts";

export interface UNetTransformerOptions {
  name: string;
  channels: number;
  heads: number;
  /** Number of layers. */
  depth: number;
  onlyCross: boolean;
  context: UNetContext;
}

/** Constants in diffusers. */
const GROUP_NORM_EPS = 1e-6;
const LAYER_NORM_EPS = 1e-5;

/**
 * Emits x + proj_out(layers(proj_in(norm(x)))). Inside, pixels are tokens. The
 * shape [batch, channels, h, w] stays.
 */
export function unetTransformer(graph: GraphBuilder, x: Value, options: UNetTransformerOptions): Value {
  const { name, channels, depth, context: { config } } = options;
  const { normNumGroups: groups, useLinearProjection } = config;
  const shape = graph.node("Shape", [x], { dtype: "int64" });
  const toTokens = (map: Value) =>
    graph.sized(
      graph.node("Transpose", [graph.node("Reshape", [map, graph.ints(0, channels, -1)])], {
        attributes: { perm: [0, 2, 1] },
      }),
      ["batch", `tokens of ${name}`, channels],
    );
  const toMap = (tokens: Value) =>
    graph.node("Reshape", [graph.node("Transpose", [tokens], { attributes: { perm: [0, 2, 1] } }), shape]);
  // A linear layer over tokens and a 1x1 convolution compute the same. Checkpoints store one or the other.
  const project = (input: Value, part: "proj_in" | "proj_out") =>
    useLinearProjection
      ? linear(graph, input, { name: `${name}.${part}`, inFeatures: channels, outFeatures: channels })
      : conv2d(graph, input, {
        name: `${name}.${part}`,
        inChannels: channels,
        outChannels: channels,
        kernelSize: 1,
      });

  const normed = groupNorm(graph, x, { name: `${name}.norm`, channels, groups, eps: GROUP_NORM_EPS });
  let tokens = useLinearProjection
    ? project(toTokens(normed), "proj_in")
    : toTokens(project(normed, "proj_in"));
  for (let i = 0; i < depth; i++) {
    tokens = graph.scope(
      `layer_${i}`,
      () => layer(graph, tokens, { ...options, name: `${name}.transformer_blocks.${i}` }),
    );
  }
  const out = useLinearProjection ? toMap(project(tokens, "proj_out")) : project(toMap(tokens), "proj_out");
  return graph.node("Add", [out, x]);
}

/** Emits self-attention, attention to the text and a gated MLP, each after a norm and with a residual. */
function layer(graph: GraphBuilder, x: Value, options: UNetTransformerOptions): Value {
  const { name, channels: features, onlyCross, context: { text } } = options;
  const norm = (input: Value, part: 1 | 2 | 3) =>
    layerNorm(graph, input, { name: `${name}.norm${part}`, features, eps: LAYER_NORM_EPS });
  const add = (a: Value, b: Value) => graph.node("Add", [a, b]);
  const own = norm(x, 1);
  const first = add(
    x,
    attend(graph, { from: own, to: onlyCross ? text : own }, { ...options, part: "attn1" }),
  );
  const second = add(
    first,
    attend(graph, { from: norm(first, 2), to: text }, { ...options, part: "attn2" }),
  );
  return add(second, gatedFeedForward(graph, norm(second, 3), { name: `${name}.ff`, features }));
}

function attend(
  graph: GraphBuilder,
  { from, to }: { from: Value; to: Value },
  { name, part, channels, heads, context: { config, text } }: UNetTransformerOptions & {
    part: "attn1" | "attn2";
  },
): Value {
  // Only float16 overflows. With upcast_attention, its attention scores are computed in float32.
  const dtype = config.upcastAttention && graph.dtype === "float16" ? "float32" : graph.dtype;
  const project = (input: Value, projection: "to_q" | "to_k" | "to_v") =>
    graph.cast(
      linear(graph, input, {
        name: `${name}.${part}.${projection}`,
        inFeatures: input === text ? config.crossAttentionDim : channels,
        outFeatures: channels,
        bias: false,
      }),
      dtype,
    );
  const attended = attention(graph, {
    query: project(from, "to_q"),
    key: project(to, "to_k"),
    value: project(to, "to_v"),
  }, { heads });
  return linear(graph, attended, {
    name: `${name}.${part}.to_out.0`,
    inFeatures: channels,
    outFeatures: channels,
  });
}
