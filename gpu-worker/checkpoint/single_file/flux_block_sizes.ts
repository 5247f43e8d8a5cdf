// The sizes of a transformer with FLUX's blocks, read off its tensors in diffusers' names.
import type { Weights } from "../weights.ts";
import { countOf, sizeOf } from "./shapes.ts";

/** Returns the options that the models which descend from FLUX.1 share. */
export function fluxBlockSizes(weights: Weights) {
  const head = sizeOf(weights, "transformer_blocks.0.attn.norm_q.weight", 0);
  return {
    in_channels: sizeOf(weights, "x_embedder.weight", 1),
    num_layers: countOf(weights, "transformer_blocks."),
    num_single_layers: countOf(weights, "single_transformer_blocks."),
    attention_head_dim: head,
    num_attention_heads: sizeOf(weights, "x_embedder.weight", 0) / head,
    joint_attention_dim: sizeOf(weights, "context_embedder.weight", 1),
  };
}
