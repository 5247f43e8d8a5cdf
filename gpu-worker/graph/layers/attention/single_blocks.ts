// Blocks over joined text and image tokens, with attention and MLP in parallel: diffusers'
// FluxSingleTransformerBlock and HunyuanVideoSingleTransformerBlock, which are equal.
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { activation } from "../dense/activation.ts";
import { adaptiveLayerNorm } from "../norm/adaptive_layer_norm.ts";
import { clampFloat16 } from "../dense/clamp_float16.ts";
import { gatedResidual } from "../dense/gated_residual.ts";
import { attentionProjections, JOINT_EPS, jointAttention, type JointContext } from "./joint_attention.ts";
import type { JointStreams } from "./joint_block.ts";
import { linear } from "../dense/linear.ts";
import { byPart, tokenParts } from "./token_parts.ts";

/** Emits `count` blocks after the two-stream blocks and returns the image tokens. */
export function fluxSingleBlocks(
  graph: GraphBuilder,
  { image, text }: JointStreams,
  { count, context, after = (joint) => joint }: {
    count: number;
    context: JointContext;
    /** Replaces the tokens after each block. @default nothing is replaced */
    after?: (joint: Value, index: number) => Value;
  },
): Value {
  // HunyuanVideo puts the text after the video, which makes no difference to attention.
  let joint = graph.node("Concat", [text, image], { attributes: { axis: 1 } });
  for (let i = 0; i < count; i++) {
    const name = `single_transformer_blocks.${i}`;
    joint = after(graph.scope(name, () => singleBlock(graph, joint, { name, context })), i);
  }
  const [, last] = graph.nodes("Split", [joint, context.tokenCounts], {
    attributes: { axis: 1 },
    outputs: 2,
  });
  return last!;
}

/** Emits the block called `name` on [batch, text_tokens + image_tokens, innerDim]. */
function singleBlock(
  graph: GraphBuilder,
  x: Value,
  { name, context }: { name: string; context: JointContext },
): Value {
  const { heads, headDim } = context;
  const features = heads * headDim;
  const { mlpFeatures = 4 * features } = context;
  const parts = tokenParts(graph, context, { name: `${name}.norm.linear`, parts: 3, stream: "joined" });
  const normed = byPart(graph, [x], {
    ...parts,
    emit: ([x], [shift, scale]) =>
      adaptiveLayerNorm(graph, x!, { scale: scale!, shift: shift!, features, eps: JOINT_EPS }),
  });

  const projections = attentionProjections(graph, normed, { name: `${name}.attn`, stream: "image", context });
  const attended = jointAttention(graph, projections, context);
  const hidden = linear(graph, normed, {
    name: `${name}.proj_mlp`,
    inFeatures: features,
    outFeatures: mlpFeatures,
  });
  const both = graph.node("Concat", [attended, activation(graph, hidden, "gelu_pytorch_tanh")], {
    attributes: { axis: -1 },
  });
  const branch = linear(graph, both, {
    name: `${name}.proj_out`,
    inFeatures: features + mlpFeatures,
    outFeatures: features,
  });
  const added = byPart(graph, [x, branch], {
    ...parts,
    emit: ([x, branch], [, , gate]) => gatedResidual(graph, x!, { gate: gate!, branch: branch! }),
  });
  return clampFloat16(graph, added);
}
