// A block with separate image and text streams, which are joined only in attention: diffusers'
// JointTransformerBlock and FluxTransformerBlock, which are equal except for rotation.
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { adaptiveLayerNorm } from "../norm/adaptive_layer_norm.ts";
import { attention, type AttentionInputs } from "./attention.ts";
import { continuousLayerNorm } from "../norm/continuous_layer_norm.ts";
import { feedForward } from "../dense/feed_forward.ts";
import { gatedResidual, type GatedResidualOptions } from "../dense/gated_residual.ts";
import {
  attentionProjections,
  blockModulation,
  JOINT_EPS,
  jointAttention,
  type JointContext,
  type StreamLayers,
} from "./joint_attention.ts";
import { linear } from "../dense/linear.ts";

/** The two token streams, [batch, image_tokens | text_tokens, features]. */
export interface JointStreams {
  image: Value;
  text: Value;
}

export interface JointBlockOptions {
  name: string;
  context: JointContext;
  /** Whether text is only attended to, as in the last block of SD3. @default false */
  contextPreOnly?: boolean;
  /**
   * Whether there is a second attention over image tokens only, as in SD3.5-Medium
   * (use_dual_attention). @default false
   */
  dualAttention?: boolean;
  /**
   * Factor of the block's residuals, [batch, 1, 1]: 0 skips the block in that row, 1 runs it. @default none
   */
  keep?: Value | undefined;
}

/** Emits the block. Under `contextPreOnly` the text is returned unchanged. */
export function jointBlock(
  graph: GraphBuilder,
  { image, text }: JointStreams,
  options: JointBlockOptions,
): JointStreams {
  const { contextPreOnly = false, context } = options;
  const imageStream = fullStream(graph, image, { ...options, kind: "image" });
  const textStream = contextPreOnly
    ? { projections: lastTextProjections(graph, text, options), finish: () => text }
    : fullStream(graph, text, { ...options, kind: "text", dualAttention: false });
  const join = (part: keyof AttentionInputs) =>
    graph.node("Concat", [textStream.projections[part], imageStream.projections[part]], {
      attributes: { axis: 1 },
    });
  const joint = { query: join("query"), key: join("key"), value: join("value") };
  const [attendedText, attendedImage] = graph.nodes("Split", [
    jointAttention(graph, joint, context),
    context.tokenCounts,
  ], { attributes: { axis: 1 }, outputs: 2 });
  return { image: imageStream.finish(attendedImage!), text: textStream.finish(attendedText!) };
}

/** Emits the `tokenCounts` of a {@link JointContext}. */
export function countTokens(graph: GraphBuilder, { image, text }: JointStreams): Value {
  const counts = [text, image].map((tokens) =>
    graph.node("Shape", [tokens], { attributes: { start: 1, end: 2 }, dtype: "int64" })
  );
  return graph.node("Concat", counts, { attributes: { axis: 0 } });
}

interface Stream {
  projections: AttentionInputs;
  /** Emits the rest of the block after attention. */
  finish(attended: Value): Value;
}

const LAYERS: StreamLayers = {
  image: { modulation: "norm1.linear", feedForward: "ff" },
  text: { modulation: "norm1_context.linear", feedForward: "ff_context" },
};
const ATTENTION_OUT = { image: "attn.to_out.0", text: "attn.to_add_out" } as const;

function fullStream(
  graph: GraphBuilder,
  x: Value,
  options: JointBlockOptions & { kind: keyof JointStreams },
): Stream {
  const { name, context, kind, dualAttention = false, keep } = options;
  const features = context.heads * context.headDim;
  const layers = (context.layers ?? LAYERS)[kind];
  const [shift, scale, gate, mlpShift, mlpScale, mlpGate, ...second] = blockModulation(
    graph,
    context,
    { name: `${name}.${layers.modulation}`, parts: dualAttention ? 9 : 6 },
  ) as [Value, Value, Value, Value, Value, Value, ...Value[]];
  const norm = (tokens: Value, by: { scale: Value; shift: Value }) =>
    adaptiveLayerNorm(graph, tokens, {
      ...by,
      features,
      eps: JOINT_EPS,
      perToken: kind === "image" && context.imagePerToken,
    });
  const add = (tokens: Value, { gate, branch }: GatedResidualOptions) =>
    gatedResidual(graph, tokens, { gate: keep ? graph.node("Mul", [gate, keep]) : gate, branch });
  const out = (attended: Value, layer: string) =>
    linear(graph, attended, { name: `${name}.${layer}`, inFeatures: features, outFeatures: features });

  const finish = (attended: Value): Value => {
    let tokens = add(x, { gate, branch: out(attended, ATTENTION_OUT[kind]) });
    if (dualAttention) {
      const [shift, scale, gate] = second as [Value, Value, Value];
      const inputs = attentionProjections(graph, norm(x, { scale, shift }), {
        name: `${name}.attn2`,
        stream: "image",
        context,
      });
      const attended = attention(graph, inputs, { heads: context.heads });
      tokens = add(tokens, { gate, branch: out(attended, "attn2.to_out.0") });
    }
    const branch = feedForward(graph, norm(tokens, { scale: mlpScale, shift: mlpShift }), {
      name: `${name}.${layers.feedForward}`,
      features,
      hiddenFeatures: context.mlpFeatures,
    });
    return add(tokens, { gate: mlpGate, branch });
  };
  const projections = attentionProjections(graph, norm(x, { scale, shift }), {
    name: `${name}.attn`,
    stream: kind,
    context,
  });
  return { projections, finish };
}

function lastTextProjections(
  graph: GraphBuilder,
  text: Value,
  { name, context }: JointBlockOptions,
): AttentionInputs {
  const normed = continuousLayerNorm(graph, text, {
    name: `${name}.norm1_context`,
    conditioning: context.conditioning,
    features: context.heads * context.headDim,
    eps: JOINT_EPS,
  });
  return attentionProjections(graph, normed, { name: `${name}.attn`, stream: "text", context });
}
