// The options of diffusers' transformers with FLUX's blocks, with FluxTransformer2DModel's defaults (0.42.1).
import { z } from "zod";
import { requireRotaryAxes, rotaryAxes } from "../checkpoint/rotary_axes.ts";

const size = z.int().positive();

/** Schemas of the options that FLUX, its ControlNets and Chroma share. */
export const FLUX_BLOCKS_OPTIONS = {
  in_channels: size.default(64),
  num_layers: z.int().nonnegative().default(19),
  num_single_layers: z.int().nonnegative().default(38),
  attention_head_dim: size.default(128),
  num_attention_heads: size.default(24),
  joint_attention_dim: size.default(4096),
  axes_dims_rope: rotaryAxes.default([16, 56, 56]),
};

/** The same options in camelCase, and sizes derived from them. */
export interface FluxBlocksConfig {
  inChannels: number;
  numLayers: number;
  numSingleLayers: number;
  numAttentionHeads: number;
  attentionHeadDim: number;
  /** Width of the token streams: heads * width of a head. */
  innerDim: number;
  jointAttentionDim: number;
  axesDimsRope: [number, number, number];
}

/**
 * Converts parsed options.
 * @param path shown in errors
 * @throws {CheckpointError} if the rotary axes do not add up to a head.
 */
export function fluxBlocksConfig(
  options: z.infer<z.ZodObject<typeof FLUX_BLOCKS_OPTIONS>>,
  path: string,
): FluxBlocksConfig {
  requireRotaryAxes(path, { axes: options.axes_dims_rope, headDim: options.attention_head_dim });
  return {
    inChannels: options.in_channels,
    numLayers: options.num_layers,
    numSingleLayers: options.num_single_layers,
    numAttentionHeads: options.num_attention_heads,
    attentionHeadDim: options.attention_head_dim,
    innerDim: options.num_attention_heads * options.attention_head_dim,
    jointAttentionDim: options.joint_attention_dim,
    axesDimsRope: options.axes_dims_rope,
  };
}
