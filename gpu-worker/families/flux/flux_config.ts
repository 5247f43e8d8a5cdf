// The options of diffusers' FluxTransformer2DModel (0.42.1), with its defaults.
import { z } from "zod";
import { requireRotaryAxes, rotaryAxes } from "../../checkpoint/rotary_axes.ts";
import { parseConfig } from "../../checkpoint/parse_config.ts";

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
  pooled_projection_dim: size.default(768),
  guidance_embeds: z.boolean().default(false),
  axes_dims_rope: rotaryAxes.default([16, 56, 56]),
});

/** FluxTransformer2DModel's options in camelCase, and sizes derived from them. */
export interface FluxTransformerConfig {
  inChannels: number;
  /** Channels of an output token: patch_size^2 * (out_channels or in_channels). */
  outChannels: number;
  numLayers: number;
  numSingleLayers: number;
  numAttentionHeads: number;
  attentionHeadDim: number;
  /** Width of the token streams: heads * width of a head. */
  innerDim: number;
  jointAttentionDim: number;
  pooledProjectionDim: number;
  guidanceEmbeds: boolean;
  axesDimsRope: [number, number, number];
}

/**
 * Checks a parsed transformer/config.json.
 * @throws {CheckpointError} naming the option that is unknown, wrong or contradicts another.
 */
export function parseFluxTransformerConfig(json: unknown): FluxTransformerConfig {
  const path = "transformer/config.json";
  const config = parseConfig(schema, json, { className: "FluxTransformer2DModel", path });
  const axesDimsRope = config.axes_dims_rope;
  requireRotaryAxes(path, { axes: axesDimsRope, headDim: config.attention_head_dim });
  return {
    inChannels: config.in_channels,
    outChannels: config.patch_size ** 2 * (config.out_channels ?? config.in_channels),
    numLayers: config.num_layers,
    numSingleLayers: config.num_single_layers,
    numAttentionHeads: config.num_attention_heads,
    attentionHeadDim: config.attention_head_dim,
    innerDim: config.num_attention_heads * config.attention_head_dim,
    jointAttentionDim: config.joint_attention_dim,
    pooledProjectionDim: config.pooled_projection_dim,
    guidanceEmbeds: config.guidance_embeds,
    axesDimsRope,
  };
}
