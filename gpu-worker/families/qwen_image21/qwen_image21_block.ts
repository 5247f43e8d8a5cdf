// One block of Qwen-Image-2.1 (diffusers' QwenImage21TransformerBlock). Condition and image share its layers.
// The condition, which is text and references, sees what stands before it; the image sees everything. All
// blocks share one modulation.
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";
import { attention, type AttentionInputs } from "../../graph/layers/attention/attention.ts";
import { normHeads } from "../../graph/layers/attention/norm_heads.ts";
import { rotary } from "../../graph/layers/attention/rotary.ts";
import { activation } from "../../graph/layers/dense/activation.ts";
import { clampFloat16 } from "../../graph/layers/dense/clamp_float16.ts";
import { gatedResidual } from "../../graph/layers/dense/gated_residual.ts";
import { linear } from "../../graph/layers/dense/linear.ts";
import { scaledLayerNorm } from "../../graph/layers/norm/scaled_layer_norm.ts";
import type { QwenImage21Config } from "./qwen_image21_config.ts";

/** Tensors that all blocks of a stream share. */
export interface Stream {
  /** Scales, and gates behind tanh, of attention and MLP: [batch or 1, 1, innerDim] each. */
  modulation: Record<"scale" | "gate" | "mlpScale" | "mlpGate", Value>;
  /** Angles of the stream's positions, [tokens, headDim / 2] float32. */
  cos: Value;
  sin: Value;
}

/** What the condition's tokens see. Each of equal parts of them attends by itself. */
export interface ConditionMask {
  /** Added to the scores of each part, [1, 1, part, tokens]. */
  biases: readonly Value[];
  /** Number of tokens, [1] int64. */
  tokens: Value;
  /** Each query's token, [padded tokens] int64: the last token fills the parts up. */
  queries: Value;
}

export interface QwenImage21BlockOptions {
  name: string;
  config: QwenImage21Config;
  streams: Record<"condition" | "image", Stream>;
  mask: ConditionMask;
}

/** Tokens of the condition and of the image, [batch, tokens, innerDim]. */
export type Tokens = Record<"condition" | "image", Value>;

/** Emits the block. */
export function qwenImage21Block(
  graph: GraphBuilder,
  tokens: Tokens,
  options: QwenImage21BlockOptions,
): Tokens {
  const { name, config, streams, mask } = options;
  const { numAttentionHeads: heads } = config;
  const condition = projections(graph, tokens.condition, { name, config, stream: streams.condition });
  const image = projections(graph, tokens.image, { name, config, stream: streams.image });
  const join = (part: "key" | "value") =>
    graph.node("Concat", [condition[part], image[part]], { attributes: { axis: 1 } });
  const attended = {
    condition: conditionAttention(graph, condition, { heads, mask }),
    image: attention(graph, { query: image.query, key: join("key"), value: join("value") }, { heads }),
  };
  const end = (stream: keyof Tokens) =>
    finish(graph, { x: tokens[stream], attended: attended[stream] }, {
      name,
      config,
      stream: streams[stream],
    });
  return { condition: end("condition"), image: end("image") };
}

function conditionAttention(
  graph: GraphBuilder,
  { query, key, value }: AttentionInputs,
  { heads, mask: { biases, tokens, queries } }: { heads: number; mask: ConditionMask },
): Value {
  const padded = graph.node("Gather", [query, queries], { attributes: { axis: 1 } });
  const parts = graph.nodes("Split", [padded], {
    attributes: { axis: 1, num_outputs: biases.length },
    outputs: biases.length,
  });
  const attended = parts.map((query, i) =>
    attention(graph, { query, key, value }, { heads, bias: biases[i]! })
  );
  const all = graph.node("Concat", attended, { attributes: { axis: 1 } });
  return graph.node("Slice", [all, graph.ints(0), tokens, graph.ints(1)]);
}

interface StreamOptions {
  name: string;
  config: QwenImage21Config;
  stream: Stream;
}

function projections(
  graph: GraphBuilder,
  x: Value,
  { name, config, stream: { modulation: { scale }, cos, sin } }: StreamOptions,
): AttentionInputs {
  const { innerDim: features, numAttentionHeads: heads, attentionHeadDim: headDim, eps } = config;
  const normed = scaledLayerNorm(graph, x, { scale, features, eps });
  const project = (layer: string) =>
    linear(graph, normed, {
      name: `${name}.attn.${layer}`,
      inFeatures: features,
      outFeatures: features,
      bias: false,
    });
  const rotated = (part: "q" | "k") => {
    const norm = { name: `${name}.attn.norm_${part}`, kind: "rms_norm", heads, headDim, eps } as const;
    return rotary(graph, normHeads(graph, project(`to_${part}`), norm), { cos, sin, heads });
  };
  return { query: rotated("q"), key: rotated("k"), value: project("to_v") };
}

/** Emits the block after its attention. */
function finish(
  graph: GraphBuilder,
  { x, attended }: { x: Value; attended: Value },
  { name, config, stream: { modulation: { gate, mlpScale, mlpGate } } }: StreamOptions,
): Value {
  const { innerDim: features, mlpFeatures, eps } = config;
  const layer = (from: Value, part: string, [inFeatures, outFeatures]: [number, number]) =>
    linear(graph, from, { name: `${name}.${part}`, inFeatures, outFeatures, bias: false });
  const tokens = gatedResidual(graph, x, {
    gate,
    branch: layer(attended, "attn.to_out.0", [features, features]),
  });
  const normed = scaledLayerNorm(graph, tokens, { scale: mlpScale, features, eps });
  const opened = activation(graph, layer(normed, "img_mlp.gate_layer", [features, mlpFeatures]), "silu");
  const hidden = graph.node("Mul", [opened, layer(normed, "img_mlp.proj", [features, mlpFeatures])]);
  const branch = layer(hidden, "img_mlp.out", [mlpFeatures, features]);
  return clampFloat16(graph, gatedResidual(graph, tokens, { gate: mlpGate, branch }));
}
