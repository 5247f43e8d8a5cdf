// The options of diffusers' Flux2Transformer2DModel (0.42.1), with its defaults.
import { showValue } from "../../../sampler/mod.ts";
import { z } from "zod";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import { parseConfig } from "../../checkpoint/parse_config.ts";

const size = z.int().positive();
/** Channels are rotated in pairs, so each axis has an even number of them. */
const axis = z.int().nonnegative().multipleOf(2);

const schema = z.strictObject({
  patch_size: size.default(1),
  in_channels: size.default(128),
  out_channels: size.nullable().default(null),
  num_layers: z.int().nonnegative().default(8),
  num_single_layers: z.int().nonnegative().default(48),
  attention_head_dim: size.default(128),
  num_attention_heads: size.default(48),
  joint_attention_dim: size.default(15360),
  timestep_guidance_channels: size.multipleOf(2).default(256),
  mlp_ratio: z.number().positive().default(3),
  axes_dims_rope: z.tuple([axis, axis, axis, axis]).default([32, 32, 32, 32]),
  rope_theta: z.number().positive().default(2000),
  eps: z.number().positive().default(1e-6),
  guidance_embeds: z.boolean().default(true),
});

/** Flux2Transformer2DModel's options in camelCase, and sizes derived from them. */
export interface Flux2TransformerConfig {
  inChannels: number;
  outChannels: number;
  numLayers: number;
  numSingleLayers: number;
  numAttentionHeads: number;
  attentionHeadDim: number;
  /** Width of the token streams: heads * width of a head. */
  innerDim: number;
  jointAttentionDim: number;
  /** Width of the timestep's sinusoids. */
  timestepChannels: number;
  /** Width of the blocks' MLPs. */
  mlpFeatures: number;
  axesDimsRope: readonly number[];
  ropeTheta: number;
  eps: number;
}

/**
 * Checks a parsed transformer/config.json.
 * @throws {CheckpointError} naming the option that is unknown, wrong or contradicts another.
 */
export function parseFlux2TransformerConfig(json: unknown): Flux2TransformerConfig {
  const path = "transformer/config.json";
  const config = parseConfig(schema, json, { className: "Flux2Transformer2DModel", path });
  const refuse = (option: keyof typeof config, rule: string, value: unknown) => {
    throw new CheckpointError(`Cannot use ${path}: '${option}' must be ${rule}, but is ${showValue(value)}.`);
  };
  const { in_channels: inChannels, axes_dims_rope: axes, attention_head_dim: headDim } = config;
  if (axes.reduce((sum, axis) => sum + axis, 0) !== headDim) {
    refuse("axes_dims_rope", `a sum that equals 'attention_head_dim' (${headDim})`, `[${axes.join()}]`);
  }
  // Flux2KleinPipeline passes no guidance to embed.
  if (config.guidance_embeds) refuse("guidance_embeds", "false for Flux2KleinPipeline", true);
  const outChannels = config.patch_size ** 2 * (config.out_channels ?? inChannels);
  if (outChannels !== inChannels) {
    refuse("out_channels", `'in_channels' (${inChannels}) with patches of one latent`, outChannels);
  }
  const innerDim = config.num_attention_heads * headDim;
  return {
    inChannels,
    outChannels,
    numLayers: config.num_layers,
    numSingleLayers: config.num_single_layers,
    numAttentionHeads: config.num_attention_heads,
    attentionHeadDim: headDim,
    innerDim,
    jointAttentionDim: config.joint_attention_dim,
    timestepChannels: config.timestep_guidance_channels,
    mlpFeatures: Math.trunc(innerDim * config.mlp_ratio),
    axesDimsRope: axes,
    ropeTheta: config.rope_theta,
    eps: config.eps,
  };
}
