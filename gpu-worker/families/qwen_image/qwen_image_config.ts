// The options of diffusers' QwenImageTransformer2DModel (0.42.1), with its defaults.
import { z } from "zod";
import { requireRotaryAxes, rotaryAxes } from "../../checkpoint/rotary_axes.ts";
import { parseConfig } from "../../checkpoint/parse_config.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";

const size = z.int().positive();

const schema = z.strictObject({
  patch_size: size.default(2),
  in_channels: size.multipleOf(4).default(64),
  out_channels: size.nullable().default(16),
  num_layers: size.default(60),
  attention_head_dim: size.default(128),
  num_attention_heads: size.default(24),
  joint_attention_dim: size.default(3584),
  // diffusers' class has no layers for it.
  guidance_embeds: z.literal(false, "has no layers in diffusers").default(false),
  axes_dims_rope: rotaryAxes.default([16, 56, 56]),
  zero_cond_t: z.boolean().default(false),
  use_additional_t_cond: z.literal(false, "is of models of pictures with layers").default(false),
  use_layer3d_rope: z.literal(false, "is of models of pictures with layers").default(false),
  // In published files. The class ignores it.
  pooled_projection_dim: z.unknown().optional(),
});

/** QwenImageTransformer2DModel's options in camelCase, and sizes derived from them. */
export interface QwenImageConfig {
  inChannels: number;
  /** Channels of an output token, patch_size^2 * out_channels: those of an input token. */
  outChannels: number;
  numLayers: number;
  numAttentionHeads: number;
  attentionHeadDim: number;
  /** Width of the token streams: heads * width of a head. */
  innerDim: number;
  jointAttentionDim: number;
  axesDimsRope: [number, number, number];
  /** Whether references are modulated as at timestep 0 (Qwen-Image-Edit-2511). */
  zeroCondT: boolean;
}

/**
 * Checks a parsed transformer/config.json.
 * @throws {CheckpointError} naming the option that is unknown, wrong or contradicts another.
 */
export function parseQwenImageConfig(json: unknown): QwenImageConfig {
  const path = "transformer/config.json";
  const config = parseConfig(schema, json, { className: "QwenImageTransformer2DModel", path });
  const axesDimsRope = config.axes_dims_rope;
  requireRotaryAxes(path, { axes: axesDimsRope, headDim: config.attention_head_dim });
  const outChannels = config.patch_size ** 2 * (config.out_channels || config.in_channels);
  if (outChannels !== config.in_channels) {
    throw new CheckpointError(
      `Cannot use ${path} as 'out_channels' must give a patch as many channels as 'in_channels' ` +
        `(${config.in_channels}): current value gives ${outChannels}`,
    );
  }
  return {
    inChannels: config.in_channels,
    outChannels,
    numLayers: config.num_layers,
    numAttentionHeads: config.num_attention_heads,
    attentionHeadDim: config.attention_head_dim,
    innerDim: config.num_attention_heads * config.attention_head_dim,
    jointAttentionDim: config.joint_attention_dim,
    axesDimsRope,
    zeroCondT: config.zero_cond_t,
  };
}
