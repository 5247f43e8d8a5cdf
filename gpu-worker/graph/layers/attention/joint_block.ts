// A block with separate image and text streams, which are joined only in attention: diffusers'
// JointTransformerBlock and FluxTransformerBlock, which are equal except for rotation.
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { adaptiveLayerNorm } from "../norm/adaptive_layer_norm.ts";
import { attention, type AttentionInputs } from "./attention.ts";
import { continuousLayerNorm } from "../norm/continuous_layer_norm.ts";
import { feedForward } from "../dense/feed_forward.ts";
import { gatedResidual } from "../dense/gated_residual.ts";
import {
  attentionProjections,
  JOINT_EPS,
  jointAttention,
  type JointContext,
  type StreamLayers,
} from "./joint_attention.ts";
import { linear } from "../dense/linear.ts";
import { byPart, tokenParts } from "./token_parts.ts";

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
/** Place of each part's shift in the modulation; its scale and its gate follow. */
const AT = { attention: 0, mlp: 3, second: 6 } as const;
const ATTENTION_OUT = { image: "attn.to_out.0", text: "attn.to_add_out" } as const;

function fullStream(
  graph: GraphBuilder,
  x: Value,
  options: JointBlockOptions & { kind: keyof JointStreams },
): Stream {
  const { name, context, kind, dualAttention = false, keep } = options;
  const features = context.heads * context.headDim;
  const layers = (context.layers ?? LAYERS)[kind];
  const parts = tokenParts(graph, context, {
    name: `${name}.${layers.modulation}`,
    parts: dualAttention ? 9 : 6,
    stream: kind,
  });
  const norm = (tokens: Value, at: number) =>
    byPart(graph, [tokens], {
      ...parts,
      emit: ([tokens], vectors) =>
        adaptiveLayerNorm(graph, tokens!, {
          shift: vectors[at]!,
          scale: vectors[at + 1]!,
          features,
          eps: JOINT_EPS,
          perToken: kind === "image" && context.imagePerToken,
        }),
    });
  const add = (tokens: Value, { at, branch }: { at: number; branch: Value }) =>
    byPart(graph, [tokens, branch], {
      ...parts,
      emit([tokens, branch], vectors) {
        const gate = vectors[at + 2]!;
        return gatedResidual(graph, tokens!, {
          gate: keep ? graph.node("Mul", [gate, keep]) : gate,
          branch: branch!,
        });
      },
    });
  const out = (attended: Value, layer: string) =>
    linear(graph, attended, { name: `${name}.${layer}`, inFeatures: features, outFeatures: features });

  const finish = (attended: Value): Value => {
    let tokens = add(x, { at: AT.attention, branch: out(attended, ATTENTION_OUT[kind]) });
    if (dualAttention) {
      const inputs = attentionProjections(graph, norm(x, AT.second), {
        name: `${name}.attn2`,
        stream: "image",
        context,
      });
      const attended = attention(graph, inputs, { heads: context.heads });
      tokens = add(tokens, { at: AT.second, branch: out(attended, "attn2.to_out.0") });
    }
    const branch = feedForward(graph, norm(tokens, AT.mlp), {
      name: `${name}.${layers.feedForward}`,
      features,
      hiddenFeatures: context.mlpFeatures,
    });
    return add(tokens, { at: AT.mlp, branch });
  };
  const projections = attentionProjections(graph, norm(x, AT.attention), {
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
