// The options of diffusers' FluxControlNetModel (0.42.1), with its defaults.
import { z } from "zod";
import { requireRotaryAxes, rotaryAxes } from "../../checkpoint/rotary_axes.ts";
import { parseConfig } from "../../checkpoint/parse_config.ts";

const size = z.int().positive();

const schema = z.strictObject({
  patch_size: z.literal(1).default(1),
  in_channels: size.default(64),
  num_layers: z.int().nonnegative().default(19),
  num_single_layers: z.int().nonnegative().default(38),
  attention_head_dim: size.default(128),
  num_attention_heads: size.default(24),
  joint_attention_dim: size.default(4096),
  pooled_projection_dim: size.default(768),
  guidance_embeds: z.boolean().default(false),
  axes_dims_rope: rotaryAxes.default([16, 56, 56]),
  num_mode: size.nullable().default(null),
  // XLabs' ControlNets see pixels and repeat their residuals.
  conditioning_embedding_channels: z.null("must be null: XLabs' kind of ControlNet is not supported")
    .optional(),
});

/** FluxControlNetModel's options in camelCase, and sizes derived from them. */
export interface FluxControlNetConfig {
  inChannels: number;
  numLayers: number;
  numSingleLayers: number;
  numAttentionHeads: number;
  attentionHeadDim: number;
  /** Width of the token streams: heads * width of a head. */
  innerDim: number;
  jointAttentionDim: number;
  pooledProjectionDim: number;
  guidanceEmbeds: boolean;
  axesDimsRope: readonly number[];
  /** Number of kinds of control images of a union; 0 for one kind. */
  modes: number;
}

/**
 * Checks a parsed config of a ControlNet.
 * @param path shown in errors
 * @throws {CheckpointError} naming the option that is unknown, wrong or contradicts another.
 */
export function parseFluxControlNetConfig(json: unknown, path: string): FluxControlNetConfig {
  const config = parseConfig(schema, json, { className: "FluxControlNetModel", path });
  requireRotaryAxes(path, { axes: config.axes_dims_rope, headDim: config.attention_head_dim });
  return {
    inChannels: config.in_channels,
    numLayers: config.num_layers,
    numSingleLayers: config.num_single_layers,
    numAttentionHeads: config.num_attention_heads,
    attentionHeadDim: config.attention_head_dim,
    innerDim: config.num_attention_heads * config.attention_head_dim,
    jointAttentionDim: config.joint_attention_dim,
    pooledProjectionDim: config.pooled_projection_dim,
    guidanceEmbeds: config.guidance_embeds,
    axesDimsRope: config.axes_dims_rope,
    modes: config.num_mode ?? 0,
  };
}
