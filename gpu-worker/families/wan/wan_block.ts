// One block of Wan (diffusers' WanTransformerBlock): self-attention, attention to the text and to given
// frames, MLP.
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
  /** The given frames in the block's width, [batch, image_tokens, innerDim]. @default none */
  image?: Value | undefined;
  /** [batch, 6, innerDim] float32, or [batch, frames, 6, innerDim] with `frames`. */
  time: Value;
  /** Frames of the latents, [1] int64, if each has a timestep of its own. */
  frames?: Value | undefined;
  /** Rotates queries and keys of the video by their positions. */
  rotate: (tokens: Value) => Value;
}

/** Emits the block: [batch, tokens, innerDim] -> the same. */
export function wanBlock(graph: GraphBuilder, x: Value, options: WanBlockOptions): Value {
  const { name, config, text, image, time, frames, rotate } = options;
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

  const { split, join } = frames ? byFrame(graph, { frames, features }) : WHOLE;
  const modulated = (x: Value, { scale, shift }: { scale: Value; shift: Value }) =>
    join(modulatedLayerNorm(graph, split(x), { scale, shift, features, eps }));
  const gated = (x: Value, { branch, gate }: { branch: Value; gate: Value }) =>
    join(addGated(graph, split(x), { branch: split(branch), gate }));
  const forSelf = modulated(x, { scale, shift });
  const own = graph.scope(
    "attn1",
    () => wanAttention(graph, { from: forSelf, to: forSelf }, { name: `${name}.attn1`, config, rotate }),
  );
  x = gated(x, { branch: own, gate });

  const forText = config.crossAttnNorm
    ? float32LayerNorm(graph, x, { name: `${name}.norm2`, features, eps })
    : x;
  const read = graph.scope(
    "attn2",
    () => wanAttention(graph, { from: forText, to: text, image }, { name: `${name}.attn2`, config }),
  );
  x = graph.node("Add", [x, read]);

  const forMlp = modulated(x, { scale: mlpScale, shift: mlpShift });
  return gated(x, { branch: mlp(graph, forMlp, { name: `${name}.ffn`, config }), gate: mlpGate });
}

/** Tokens [batch, tokens, features] as a video's frames, [batch, frames, tokens, features], and back. */
interface FrameView {
  split: (x: Value) => Value;
  join: (x: Value) => Value;
}

const WHOLE: FrameView = { split: (x) => x, join: (x) => x };

function byFrame(
  graph: GraphBuilder,
  { frames, features }: { frames: Value; features: number },
): FrameView {
  const shape = graph.node("Concat", [graph.ints(0), frames, graph.ints(-1, features)], {
    attributes: { axis: 0 },
  });
  return {
    split: (x) => graph.node("Reshape", [x, shape]),
    join: (x) => graph.node("Reshape", [x, graph.ints(0, -1, features)]),
  };
}

interface WanAttentionOptions {
  name: string;
  config: WanTransformerConfig;
  /** @default no rotation */
  rotate?: (tokens: Value) => Value;
}

/**
 * Emits attention with queries from one stream and keys and values from the same or another. Queries and keys
 * are normed over all heads together. The same queries read given frames with keys and values of their own.
 */
function wanAttention(
  graph: GraphBuilder,
  { from, to, image }: { from: Value; to: Value; image?: Value | undefined },
  { name, config, rotate = (tokens) => tokens }: WanAttentionOptions,
): Value {
  const { innerDim: features, numAttentionHeads: heads, eps } = config;
  const project = (x: Value, part: string) =>
    linear(graph, x, { name: `${name}.${part}`, inFeatures: features, outFeatures: features });
  const normed = (x: Value, { layer, norm }: { layer: string; norm: string }) =>
    rmsNorm(graph, project(x, layer), { name: `${name}.${norm}`, features, eps });
  const query = rotate(normed(from, { layer: "to_q", norm: "norm_q" }));
  const key = rotate(normed(to, { layer: "to_k", norm: "norm_k" }));
  const read = attention(graph, { query, key, value: project(to, "to_v") }, { heads });
  if (image === undefined) return project(read, "to_out.0");
  const seen = attention(graph, {
    query,
    key: normed(image, { layer: "add_k_proj", norm: "norm_added_k" }),
    value: project(image, "add_v_proj"),
  }, { heads });
  return project(graph.node("Add", [read, seen]), "to_out.0");
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
