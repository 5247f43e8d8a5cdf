// The options of UNet2DConditionModel that the shapes of its tensors decide.
import { countOf, hasUnder, sizeOf } from "../../checkpoint/single_file/shapes.ts";
import type { Weights } from "../../checkpoint/weights.ts";

/**
 * Reads a UNet's options off the shapes of its tensors.
 * @throws {CheckpointError} if a tensor that decides a size is missing.
 */
export function unetSizes(weights: Weights): Record<string, unknown> {
  const blocks = Array.from({ length: countOf(weights, "down_blocks.") }, (_, i) => i);
  const hasText = (block: string) => hasUnder(weights, `${block}.attentions.`);
  const text = weights.entries().find(([name]) => name.endsWith(".attn2.to_k.weight"))?.[1];
  const projection = weights.entries().find(([name]) => name.endsWith(".attentions.0.proj_in.weight"))?.[1];
  const hasTime = weights.has("add_embedding.linear_1.weight");
  return {
    in_channels: sizeOf(weights, "conv_in.weight", 1),
    out_channels: sizeOf(weights, "conv_out.weight", 0),
    block_out_channels: blocks.map((i) => sizeOf(weights, `down_blocks.${i}.resnets.0.conv1.weight`, 0)),
    layers_per_block: perBlock(blocks.map((i) => countOf(weights, `down_blocks.${i}.resnets.`))),
    down_block_types: blocks.map((i) => hasText(`down_blocks.${i}`) ? "CrossAttnDownBlock2D" : "DownBlock2D"),
    up_block_types: blocks.map((i) => hasText(`up_blocks.${i}`) ? "CrossAttnUpBlock2D" : "UpBlock2D"),
    ...text && { cross_attention_dim: text.shape[1] },
    ...projection && { use_linear_projection: projection.shape.length === 2 },
    addition_embed_type: hasTime ? "text_time" : null,
    ...hasTime &&
      { projection_class_embeddings_input_dim: sizeOf(weights, "add_embedding.linear_1.weight", 1) },
  };
}

function perBlock(counts: readonly number[]): number | readonly number[] {
  return new Set(counts).size === 1 ? counts[0]! : counts;
}
