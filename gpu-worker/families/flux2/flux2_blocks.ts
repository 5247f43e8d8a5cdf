// FLUX.2's blocks: text and image in streams of their own, then joined (diffusers' Flux2TransformerBlock and
// Flux2SingleTransformerBlock). No layer has a bias, and all blocks of a kind share one modulation.
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";
import { attention } from "../../graph/layers/attention/attention.ts";
import { normHeads } from "../../graph/layers/attention/norm_heads.ts";
import { activation } from "../../graph/layers/dense/activation.ts";
import { clampFloat16 } from "../../graph/layers/dense/clamp_float16.ts";
import { gatedResidual } from "../../graph/layers/dense/gated_residual.ts";
import { linear } from "../../graph/layers/dense/linear.ts";
import { adaptiveLayerNorm } from "../../graph/layers/norm/adaptive_layer_norm.ts";
import type { Flux2TransformerConfig } from "./flux2_config.ts";

/** The modulation of one norm and the residual after it, [batch, 1, innerDim] each. */
export interface Modulation {
  shift: Value;
  scale: Value;
  gate: Value;
}

/** The values that all blocks of a graph share. */
export interface Flux2Context {
  config: Flux2TransformerConfig;
  /** Modulations of attention and MLP, for each stream. */
  image: readonly [Modulation, Modulation];
  text: readonly [Modulation, Modulation];
  single: Modulation;
  /** Rotates queries or keys of all tokens, text first. */
  rotate: (tokens: Value) => Value;
  /** Numbers of text and image tokens, [2] int64. */
  tokenCounts: Value;
}

/** The two token streams, [batch, image_tokens | text_tokens, innerDim]. */
export interface Flux2Streams {
  image: Value;
  text: Value;
}

interface BlockOptions {
  name: string;
  context: Flux2Context;
}

const LAYERS = {
  image: { q: "to_q", k: "to_k", v: "to_v", normQ: "norm_q", normK: "norm_k", out: "to_out.0", ff: "ff" },
  text: {
    q: "add_q_proj",
    k: "add_k_proj",
    v: "add_v_proj",
    normQ: "norm_added_q",
    normK: "norm_added_k",
    out: "to_add_out",
    ff: "ff_context",
  },
} as const;

/** Emits the block called `name` on streams that are joined only in attention. */
export function flux2DoubleBlock(
  graph: GraphBuilder,
  { image, text }: Flux2Streams,
  { name, context }: BlockOptions,
): Flux2Streams {
  const { config, rotate, tokenCounts } = context;
  const { innerDim: features, numAttentionHeads: heads } = config;
  const layer = (x: Value, part: string) =>
    linear(graph, x, { name: `${name}.${part}`, inFeatures: features, outFeatures: features, bias: false });
  const stream = (kind: keyof Flux2Streams, x: Value) => {
    const layers = LAYERS[kind];
    const [ofAttention, ofMlp] = context[kind];
    const normed = modulated(graph, x, { config, modulation: ofAttention });
    const norm = (projected: Value, part: string) =>
      normByHead(graph, projected, { name: `${name}.attn.${part}`, config });
    return {
      query: norm(layer(normed, `attn.${layers.q}`), layers.normQ),
      key: norm(layer(normed, `attn.${layers.k}`), layers.normK),
      value: layer(normed, `attn.${layers.v}`),
      finish: (attended: Value) => {
        const branch = layer(attended, `attn.${layers.out}`);
        const tokens = gatedResidual(graph, x, { gate: ofAttention.gate, branch });
        const ff = feedForward(graph, modulated(graph, tokens, { config, modulation: ofMlp }), {
          name: `${name}.${layers.ff}`,
          config,
        });
        return gatedResidual(graph, tokens, { gate: ofMlp.gate, branch: ff });
      },
    };
  };
  const streams = [stream("text", text), stream("image", image)] as const;
  const join = (part: "query" | "key" | "value") =>
    graph.node("Concat", streams.map((stream) => stream[part]), { attributes: { axis: 1 } });
  const attended = attention(graph, {
    query: rotate(join("query")),
    key: rotate(join("key")),
    value: join("value"),
  }, { heads });
  const [attendedText, attendedImage] = graph.nodes("Split", [attended, tokenCounts], {
    attributes: { axis: 1 },
    outputs: 2,
  }) as [Value, Value];
  return {
    text: clampFloat16(graph, streams[0].finish(attendedText)),
    image: streams[1].finish(attendedImage),
  };
}

/** Emits the block called `name` on joined tokens, with attention and MLP in parallel. */
export function flux2SingleBlock(graph: GraphBuilder, x: Value, { name, context }: BlockOptions): Value {
  const { config, single, rotate } = context;
  const { innerDim: features, mlpFeatures, numAttentionHeads: heads } = config;
  const all = linear(graph, modulated(graph, x, { config, modulation: single }), {
    name: `${name}.attn.to_qkv_mlp_proj`,
    inFeatures: features,
    outFeatures: 3 * features + 2 * mlpFeatures,
    bias: false,
  });
  const sizes = graph.ints(features, features, features, mlpFeatures, mlpFeatures);
  const [query, key, value, gate, hidden] = graph.nodes("Split", [all, sizes], {
    attributes: { axis: -1 },
    outputs: 5,
  }) as [Value, Value, Value, Value, Value];
  const norm = (projected: Value, part: string) =>
    normByHead(graph, projected, { name: `${name}.attn.${part}`, config });
  const attended = attention(graph, {
    query: rotate(norm(query, "norm_q")),
    key: rotate(norm(key, "norm_k")),
    value,
  }, { heads });
  const gated = graph.node("Mul", [activation(graph, gate, "silu"), hidden]);
  const branch = linear(graph, graph.node("Concat", [attended, gated], { attributes: { axis: -1 } }), {
    name: `${name}.attn.to_out`,
    inFeatures: features + mlpFeatures,
    outFeatures: features,
    bias: false,
  });
  return clampFloat16(graph, gatedResidual(graph, x, { gate: single.gate, branch }));
}

function modulated(
  graph: GraphBuilder,
  x: Value,
  { config: { innerDim: features, eps }, modulation: { scale, shift } }: {
    config: Flux2TransformerConfig;
    modulation: Modulation;
  },
): Value {
  return adaptiveLayerNorm(graph, x, { scale, shift, features, eps });
}

function normByHead(
  graph: GraphBuilder,
  x: Value,
  { name, config: { numAttentionHeads: heads, attentionHeadDim: headDim, eps } }: {
    name: string;
    config: Flux2TransformerConfig;
  },
): Value {
  return normHeads(graph, x, { name, kind: "rms_norm", heads, headDim, eps });
}

/** Emits linear_out(silu(gate) * hidden), where linear_in gives both: gate, then hidden. */
function feedForward(
  graph: GraphBuilder,
  x: Value,
  { name, config: { innerDim: features, mlpFeatures } }: { name: string; config: Flux2TransformerConfig },
): Value {
  const both = linear(graph, x, {
    name: `${name}.linear_in`,
    inFeatures: features,
    outFeatures: 2 * mlpFeatures,
    bias: false,
  });
  const [gate, hidden] = graph.nodes("Split", [both], {
    attributes: { axis: -1, num_outputs: 2 },
    outputs: 2,
  }) as [Value, Value];
  const gated = graph.node("Mul", [activation(graph, gate, "silu"), hidden]);
  return linear(graph, gated, {
    name: `${name}.linear_out`,
    inFeatures: mlpFeatures,
    outFeatures: features,
    bias: false,
  });
}
