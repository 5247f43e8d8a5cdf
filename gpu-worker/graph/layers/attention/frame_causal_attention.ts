// Single-head self-attention over the pixels of a video. A frame attends to itself and earlier
// frames, like diffusers' Attention under prepare_causal_attention_mask. There is no mask, as it
// would be as large as the scores.
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { attention } from "./attention.ts";
import { groupNorm } from "../norm/group_norm.ts";
import { linear } from "../dense/linear.ts";

export interface FrameCausalAttentionOptions {
  name: string;
  channels: number;
  groups: number;
  eps: number;
  /** Largest number of frames in a run. The graph has one attention for each. */
  maxFrames: number;
}

/** Emits x + out(attention(norm(x))) on [batch, channels, frames, h, w]. */
export function frameCausalAttention(
  graph: GraphBuilder,
  x: Value,
  { name, channels, groups, eps, maxFrames }: FrameCausalAttentionOptions,
): Value {
  const normed = groupNorm(graph, x, { name: `${name}.group_norm`, channels, groups, eps, axes: 3 });
  const tokens = graph.node("Transpose", [graph.node("Reshape", [normed, graph.ints(0, channels, -1)])], {
    attributes: { perm: [0, 2, 1] },
  });
  const project = (from: Value, layer: string) =>
    linear(graph, from, { name: `${name}.${layer}`, inFeatures: channels, outFeatures: channels });
  const [query, key, value] = ["to_q", "to_k", "to_v"].map((layer) => project(tokens, layer)) as [
    Value,
    Value,
    Value,
  ];

  const int64 = { dtype: "int64" } as const;
  const size = (start: number) =>
    graph.node("Shape", [x], { ...int64, attributes: { start, end: start + 1 } });
  const pixels = graph.node("Mul", [size(3), size(4)]);
  const frames = size(2);
  const cut = (from: Value, begin: Value, end: Value) =>
    graph.node("Slice", [from, begin, end, graph.ints(1)]);
  const first = graph.ints(0);
  const attended = Array.from({ length: maxFrames }, (_, frame) => {
    // Beyond the last frame the last one is computed again and dropped later, as no
    // operator accepts an empty tensor.
    const begin = graph.node("Mul", [
      graph.node("Min", [graph.ints(frame), graph.node("Sub", [frames, graph.ints(1)])]),
      pixels,
    ]);
    const end = graph.node("Add", [begin, pixels]);
    return attention(graph, {
      query: cut(query, begin, end),
      key: cut(key, first, end),
      value: cut(value, first, end),
    }, { heads: 1 });
  });
  const all = graph.node("Concat", attended, { attributes: { axis: 1 } });
  const out = project(cut(all, first, graph.node("Mul", [frames, pixels])), "to_out.0");
  const planes = graph.node("Transpose", [out], { attributes: { perm: [0, 2, 1] } });
  return graph.node("Add", [x, graph.node("Reshape", [planes, graph.node("Shape", [x], int64)])]);
}
