// A block of Z-Image over image tokens, text tokens or both (diffusers' ZImageTransformerBlock).
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";
import { attention } from "../../graph/layers/attention/attention.ts";
import { normHeads } from "../../graph/layers/attention/norm_heads.ts";
import { activation } from "../../graph/layers/dense/activation.ts";
import { gatedResidual } from "../../graph/layers/dense/gated_residual.ts";
import { linear } from "../../graph/layers/dense/linear.ts";
import { rmsNorm } from "../../graph/layers/norm/rms_norm.ts";
import type { ZImageTransformerConfig } from "./z_image_config.ts";

export interface ZImageBlockOptions {
  name: string;
  config: ZImageTransformerConfig;
  /** Rotates queries or keys of the tokens by their positions. */
  rotate: (tokens: Value) => Value;
  /**
   * The timestep's embedding, [batch, conditioningDim].
   * @default none: the block is the same at every timestep
   */
  conditioning?: Value;
}

/** Epsilon of the norms of queries and keys, a constant of diffusers. */
const QK_EPS = 1e-5;

/** Emits the block on [batch, tokens, dim]. */
export function zImageBlock(graph: GraphBuilder, x: Value, options: ZImageBlockOptions): Value {
  const { name, config: { dim: features, normEps: eps }, conditioning } = options;
  const norm = (tokens: Value, part: string) =>
    rmsNorm(graph, tokens, { name: `${name}.${part}`, features, eps });
  const [scale, gate, mlpScale, mlpGate] = conditioning ? modulations(graph, conditioning, options) : [];
  const scaled = (tokens: Value, by: Value | undefined) => by ? graph.node("Mul", [tokens, by]) : tokens;
  const add = (tokens: Value, branch: Value, gate: Value | undefined) =>
    gate ? gatedResidual(graph, tokens, { gate, branch }) : graph.node("Add", [tokens, branch]);

  const attended = selfAttention(graph, scaled(norm(x, "attention_norm1"), scale), options);
  const middle = add(x, norm(attended, "attention_norm2"), gate);
  const branch = feedForward(graph, scaled(norm(middle, "ffn_norm1"), mlpScale), options);
  return add(middle, norm(branch, "ffn_norm2"), mlpGate);
}

/** Emits scale, with 1 added, and gate of attention, then those of the MLP: [batch, 1, dim] each. */
function modulations(
  graph: GraphBuilder,
  conditioning: Value,
  { name, config: { dim, conditioningDim } }: ZImageBlockOptions,
): Value[] {
  const all = linear(graph, conditioning, {
    name: `${name}.adaLN_modulation.0`,
    inFeatures: conditioningDim,
    outFeatures: 4 * dim,
  });
  const parts = graph.nodes("Split", [graph.node("Reshape", [all, graph.ints(0, 4, dim)])], {
    attributes: { axis: 1, num_outputs: 4 },
    outputs: 4,
  });
  return parts.map((part, i) =>
    i % 2 === 0 ? graph.node("Add", [part, graph.scalar(1)]) : graph.node("Tanh", [part])
  );
}

function selfAttention(
  graph: GraphBuilder,
  x: Value,
  { name, config: { dim, heads, headDim, qkNorm }, rotate }: ZImageBlockOptions,
): Value {
  const project = (tokens: Value, layer: string) =>
    linear(graph, tokens, {
      name: `${name}.attention.${layer}`,
      inFeatures: dim,
      outFeatures: dim,
      bias: false,
    });
  const norm = (tokens: Value, layer: string) =>
    normHeads(graph, tokens, {
      name: `${name}.attention.${layer}`,
      kind: qkNorm ? "rms_norm" : null,
      heads,
      headDim,
      eps: QK_EPS,
    });
  const attended = attention(graph, {
    query: rotate(norm(project(x, "to_q"), "norm_q")),
    key: rotate(norm(project(x, "to_k"), "norm_k")),
    value: project(x, "to_v"),
  }, { heads });
  return project(attended, "to_out.0");
}

/** Emits w2(silu(w1 x) * w3 x). */
function feedForward(
  graph: GraphBuilder,
  x: Value,
  { name, config: { dim, mlpFeatures } }: ZImageBlockOptions,
): Value {
  const widen = (layer: string) =>
    linear(graph, x, {
      name: `${name}.feed_forward.${layer}`,
      inFeatures: dim,
      outFeatures: mlpFeatures,
      bias: false,
    });
  const gated = graph.node("Mul", [activation(graph, widen("w1"), "silu"), widen("w3")]);
  return linear(graph, gated, {
    name: `${name}.feed_forward.w2`,
    inFeatures: mlpFeatures,
    outFeatures: dim,
    bias: false,
  });
}
