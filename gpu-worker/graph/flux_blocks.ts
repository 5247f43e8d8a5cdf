// FLUX's transformer up to its last block, which Chroma shares: two streams, then one of text and image.
import type { FluxBlocksConfig } from "./flux_blocks_config.ts";
import type { GraphBuilder, Value } from "./graph_builder.ts";
import type { JointContext } from "./layers/attention/joint_attention.ts";
import { countTokens, jointBlock, type JointStreams } from "./layers/attention/joint_block.ts";
import { pictureTokens } from "./layers/attention/picture_tokens.ts";
import { rotary } from "./layers/attention/rotary.ts";
import { fluxSingleBlocks } from "./layers/attention/single_blocks.ts";
import { clampFloat16 } from "./layers/dense/clamp_float16.ts";
import { linear } from "./layers/dense/linear.ts";

/** Places where a ControlNet, or a network that it steers, differs from FLUX. */
export interface FluxBlocksHooks {
  /** Replaces the streams before the first block, and the rotary tables of their tokens. */
  begin?(streams: JointStreams, tables: { cos: Value; sin: Value }): {
    streams: JointStreams;
    cos: Value;
    sin: Value;
  };
  /** Replaces the image tokens after block `index` of those with two streams. */
  afterDouble?(image: Value, index: number): Value;
  /** Replaces the tokens of text and image after block `index` of those with one stream. */
  afterSingle?(joint: Value, options: { index: number; context: JointContext }): Value;
}

export interface FluxBlocksOptions {
  /** Replace values between the blocks. @default nothing is replaced */
  hooks?: FluxBlocksHooks | undefined;
  /**
   * Image tokens hold more than latents: tokens of references follow the picture's, or each token has a part
   * of the masked image and of the mask. @default latents alone
   */
  beside?: "references" | "masked" | undefined;
}

/** Inputs that a family adds to its blocks. */
export type FluxBlocksContext = Pick<JointContext, "conditioning" | "modulate" | "bias">;

/**
 * Declares the inputs hidden_states [batch, image_tokens, in_channels]; encoder_hidden_states [batch,
 * text_tokens, joint]; rotary_cos and rotary_sin [text_tokens + image_tokens, head_dim / 2] float32
 * (`fluxRotaryTables`). With references the image tokens are the picture's and theirs, and picture_tokens
 * [image_tokens] is an input (`pictureTokens`). With a mask, masked [batch, image_tokens, channels] stands
 * beside the latents of each token. Emits the blocks.
 * @param contextOf declares the conditioning's inputs and emits it; receives both streams in the blocks'
 * width
 * @returns the image tokens after the last block, and the conditioning
 */
export function fluxBlocks(
  graph: GraphBuilder,
  config: FluxBlocksConfig & { outChannels?: number },
  contextOf: (streams: JointStreams) => FluxBlocksContext,
  { beside, hooks = {} }: FluxBlocksOptions = {},
): { tokens: Value; conditioning: Value } {
  const { inChannels, innerDim, jointAttentionDim, attentionHeadDim, numAttentionHeads: heads } = config;
  const hiddenStates = imageTokens(graph, config, beside);
  const encoderHiddenStates = graph.cast(
    graph.input("encoder_hidden_states", ["batch", "text_tokens", jointAttentionDim], "float32"),
  );
  const ownCos = graph.input("rotary_cos", ["tokens", attentionHeadDim / 2], "float32");
  const ownSin = graph.input("rotary_sin", ["tokens", attentionHeadDim / 2], "float32");
  const asStored = true;
  const embedded = {
    image: linear(graph, hiddenStates, {
      name: "x_embedder",
      inFeatures: inChannels,
      outFeatures: innerDim,
      asStored,
    }),
    text: linear(graph, encoderHiddenStates, {
      name: "context_embedder",
      inFeatures: jointAttentionDim,
      outFeatures: innerDim,
      asStored,
    }),
  };
  const own = contextOf(embedded);
  const { streams: first, cos, sin } = hooks.begin?.(embedded, { cos: ownCos, sin: ownSin }) ??
    { streams: embedded, cos: ownCos, sin: ownSin };
  let streams = first;
  const context: JointContext = {
    ...own,
    heads,
    headDim: attentionHeadDim,
    qkNorm: "rms_norm",
    rotate: (tokens) => rotary(graph, tokens, { cos, sin, heads }),
    tokenCounts: countTokens(graph, streams),
  };
  for (let i = 0; i < config.numLayers; i++) {
    const name = `transformer_blocks.${i}`;
    const { image, text } = graph.scope(name, () => jointBlock(graph, streams, { name, context }));
    streams = { image: hooks.afterDouble?.(image, i) ?? image, text: clampFloat16(graph, text) };
  }
  const { afterSingle } = hooks;
  const tokens = fluxSingleBlocks(graph, streams, {
    count: config.numSingleLayers,
    context,
    ...afterSingle && { after: (joint, index) => afterSingle(joint, { index, context }) },
  });
  return {
    tokens: beside === "references" ? pictureTokens(graph, tokens) : tokens,
    conditioning: own.conditioning,
  };
}

function imageTokens(
  graph: GraphBuilder,
  { inChannels, outChannels = inChannels }: FluxBlocksConfig & { outChannels?: number },
  beside: FluxBlocksOptions["beside"],
): Value {
  const axis = beside === "references" ? "sequence_tokens" : "image_tokens";
  const latents = graph.input("hidden_states", [
    "batch",
    axis,
    beside === "masked" ? outChannels : inChannels,
  ], "float32");
  if (beside !== "masked") return graph.cast(latents);
  const masked = graph.input("masked", ["batch", axis, inChannels - outChannels], "float32");
  return graph.cast(graph.node("Concat", [latents, masked], { attributes: { axis: -1 } }));
}
