// The options of diffusers' QwenImage21Transformer2DModel (0.42.1), with its defaults.
import { z } from "zod";
import { requireRotaryAxes, rotaryAxes } from "../../checkpoint/rotary_axes.ts";
import { parseConfig } from "../../checkpoint/parse_config.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";

const size = z.int().positive();

const schema = z.strictObject({
  patch_size: z.literal(1, "must be 1: the pipeline makes no patches").default(1),
  in_channels: size.default(64),
  out_channels: size.nullable().default(64),
  num_layers: size.default(32),
  attention_head_dim: size.default(128),
  num_attention_heads: size.default(32),
  context_in_dim: size.default(4096),
  mlp_ratio: size.default(3),
  axes_dims_rope: rotaryAxes.default([16, 56, 56]),
  eps: z.number().positive().default(1e-6),
  causal_condition: z.boolean().default(true),
});

/** QwenImage21Transformer2DModel's options in camelCase, and sizes derived from them. */
export interface QwenImage21Config {
  /** Channels of a token, in and out. */
  inChannels: number;
  numLayers: number;
  numAttentionHeads: number;
  attentionHeadDim: number;
  /** Width of the token stream: heads * width of a head. */
  innerDim: number;
  contextInDim: number;
  /** Width of the blocks' MLPs. */
  mlpFeatures: number;
  axesDimsRope: [number, number, number];
  /** Epsilon of every norm. */
  eps: number;
  /** Whether text and references are modulated as at timestep 0, so that they are the same at every step. */
  causalCondition: boolean;
}

/**
 * Checks a parsed transformer/config.json.
 * @throws {CheckpointError} naming the option that is unknown, wrong or contradicts another.
 */
export function parseQwenImage21Config(json: unknown): QwenImage21Config {
  const path = "transformer/config.json";
  const config = parseConfig(schema, json, { className: "QwenImage21Transformer2DModel", path });
  const axesDimsRope = config.axes_dims_rope;
  requireRotaryAxes(path, { axes: axesDimsRope, headDim: config.attention_head_dim });
  const outChannels = config.out_channels || config.in_channels;
  if (outChannels !== config.in_channels) {
    throw new CheckpointError(
      `Cannot use ${path} as 'out_channels' must be 'in_channels' (${config.in_channels}): ` +
        `current value is ${outChannels}`,
    );
  }
  const innerDim = config.num_attention_heads * config.attention_head_dim;
  return {
    inChannels: config.in_channels,
    numLayers: config.num_layers,
    numAttentionHeads: config.num_attention_heads,
    attentionHeadDim: config.attention_head_dim,
    innerDim,
    contextInDim: config.context_in_dim,
    mlpFeatures: innerDim * config.mlp_ratio,
    axesDimsRope,
    eps: config.eps,
    causalCondition: config.causal_condition,
  };
}
