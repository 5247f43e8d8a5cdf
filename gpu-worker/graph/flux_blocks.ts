// FLUX's transformer up to its last block, which Chroma shares: two streams, then one of text and image.
import type { GraphBuilder, Value } from "./graph_builder.ts";
import type { JointContext } from "./layers/attention/joint_attention.ts";
import { countTokens, jointBlock, type JointStreams } from "./layers/attention/joint_block.ts";
import { rotary } from "./layers/attention/rotary.ts";
import { fluxSingleBlocks } from "./layers/attention/single_blocks.ts";
import { clampFloat16 } from "./layers/dense/clamp_float16.ts";
import { linear } from "./layers/dense/linear.ts";

export interface FluxBlocksConfig {
  inChannels: number;
  numLayers: number;
  numSingleLayers: number;
  numAttentionHeads: number;
  attentionHeadDim: number;
  /** Width of the token streams: heads * width of a head. */
  innerDim: number;
  jointAttentionDim: number;
}

/** Inputs that a family adds to its blocks. */
export type FluxBlocksContext = Pick<JointContext, "conditioning" | "modulate" | "bias">;

/**
 * Declares the inputs hidden_states [batch, image_tokens, in_channels]; encoder_hidden_states [batch,
 * text_tokens, joint]; rotary_cos and rotary_sin [text_tokens + image_tokens, head_dim / 2] float32
 * (`fluxRotaryTables`). Emits the blocks.
 * @param contextOf declares the conditioning's inputs and emits it; receives both
 * streams in the blocks' width
 * @returns the image tokens after the last block, and the conditioning
 */
export function fluxBlocks(
  graph: GraphBuilder,
  config: FluxBlocksConfig,
  contextOf: (streams: JointStreams) => FluxBlocksContext,
): { tokens: Value; conditioning: Value } {
  const { inChannels, innerDim, jointAttentionDim, attentionHeadDim, numAttentionHeads: heads } = config;
  const hiddenStates = graph.cast(
    graph.input("hidden_states", ["batch", "image_tokens", inChannels], "float32"),
  );
  const encoderHiddenStates = graph.cast(
    graph.input("encoder_hidden_states", ["batch", "text_tokens", jointAttentionDim], "float32"),
  );
  const cos = graph.input("rotary_cos", ["tokens", attentionHeadDim / 2], "float32");
  const sin = graph.input("rotary_sin", ["tokens", attentionHeadDim / 2], "float32");
  const asStored = true;
  let streams = {
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
  const own = contextOf(streams);
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
    streams = { image, text: clampFloat16(graph, text) };
  }
  const tokens = fluxSingleBlocks(graph, streams, { count: config.numSingleLayers, context });
  return { tokens, conditioning: own.conditioning };
}
