// The options of diffusers' ChromaTransformer2DModel (0.42.1), with its defaults.
import { z } from "zod";
import { requireRotaryAxes, rotaryAxes } from "../../checkpoint/rotary_axes.ts";
import { parseConfig } from "../../checkpoint/parse_config.ts";
import type { FluxBlocksConfig } from "../../graph/flux_blocks.ts";

const size = z.int().positive();

const schema = z.strictObject({
  patch_size: size.default(1),
  in_channels: size.default(64),
  out_channels: size.nullable().default(null),
  num_layers: z.int().nonnegative().default(19),
  num_single_layers: z.int().nonnegative().default(38),
  attention_head_dim: size.default(128),
  num_attention_heads: size.default(24),
  joint_attention_dim: size.default(4096),
  axes_dims_rope: rotaryAxes.default([16, 56, 56]),
  // A quarter of the channels embeds the timestep, half of it by sines.
  approximator_num_channels: size.multipleOf(8).default(64),
  approximator_hidden_dim: size.default(5120),
  approximator_layers: size.default(5),
});

/** ChromaTransformer2DModel's options in camelCase, and sizes derived from them. */
export interface ChromaTransformerConfig extends FluxBlocksConfig {
  /** Channels of an output token: patch_size^2 * (out_channels or in_channels). */
  outChannels: number;
  axesDimsRope: [number, number, number];
  approximatorNumChannels: number;
  approximatorHiddenDim: number;
  approximatorLayers: number;
}

/**
 * Checks a parsed transformer/config.json.
 * @throws {CheckpointError} naming the option that is unknown, wrong or contradicts another.
 */
export function parseChromaTransformerConfig(json: unknown): ChromaTransformerConfig {
  const path = "transformer/config.json";
  const config = parseConfig(schema, json, { className: "ChromaTransformer2DModel", path });
  const axesDimsRope = config.axes_dims_rope;
  requireRotaryAxes(path, { axes: axesDimsRope, headDim: config.attention_head_dim });
  return {
    inChannels: config.in_channels,
    outChannels: config.patch_size ** 2 * (config.out_channels || config.in_channels),
    numLayers: config.num_layers,
    numSingleLayers: config.num_single_layers,
    numAttentionHeads: config.num_attention_heads,
    attentionHeadDim: config.attention_head_dim,
    innerDim: config.num_attention_heads * config.attention_head_dim,
    jointAttentionDim: config.joint_attention_dim,
    axesDimsRope,
    approximatorNumChannels: config.approximator_num_channels,
    approximatorHiddenDim: config.approximator_hidden_dim,
    approximatorLayers: config.approximator_layers,
  };
}
