// Single-head self-attention over the pixels of a feature map: diffusers' Attention in autoencoders. Accepts
// its current key names and those of the older AttentionBlock.
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { attention } from "./attention.ts";
import { groupNorm } from "../norm/group_norm.ts";
import { linear } from "../dense/linear.ts";

export interface SpatialAttentionOptions {
  name: string;
  channels: number;
  groups: number;
  eps: number;
}

const PRESENT_KEYS = { query: "to_q", key: "to_k", value: "to_v", out: "to_out.0" };
const OLD_KEYS = { query: "query", key: "key", value: "value", out: "proj_attn" };

/** Emits x + out(attention(norm(x))) on [batch, channels, h, w]. */
export function spatialAttention(graph: GraphBuilder, x: Value, options: SpatialAttentionOptions): Value {
  const { name, channels, groups, eps } = options;
  const keys = graph.has(`${name}.proj_attn.weight`) ? OLD_KEYS : PRESENT_KEYS;
  const normed = groupNorm(graph, x, { name: `${name}.group_norm`, channels, groups, eps });
  const tokens = graph.node("Transpose", [graph.node("Reshape", [normed, graph.ints(0, channels, -1)])], {
    attributes: { perm: [0, 2, 1] },
  });
  const project = (from: Value, part: keyof typeof keys) =>
    linear(graph, from, { name: `${name}.${keys[part]}`, inFeatures: channels, outFeatures: channels });
  const attended = attention(graph, {
    query: project(tokens, "query"),
    key: project(tokens, "key"),
    value: project(tokens, "value"),
  }, { heads: 1 });
  const out = graph.node("Transpose", [project(attended, "out")], { attributes: { perm: [0, 2, 1] } });
  const shape = graph.node("Shape", [x], { dtype: "int64" });
  return graph.node("Add", [x, graph.node("Reshape", [out, shape])]);
}
