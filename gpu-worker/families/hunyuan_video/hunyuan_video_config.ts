// The options of diffusers' HunyuanVideoTransformer3DModel (0.42.1), with its defaults.
import { z } from "zod";
import { requireRotaryAxes, rotaryAxes } from "../../checkpoint/rotary_axes.ts";
import type { QueryKeyNorm } from "../../graph/layers/attention/norm_heads.ts";
import { assertFit } from "../../checkpoint/assert_fit.ts";
import { parseConfig } from "../../checkpoint/parse_config.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";

const size = z.int().positive();
const layers = z.int().nonnegative();

const schema = z.strictObject({
  in_channels: size.default(16),
  out_channels: size.nullable().default(16),
  num_attention_heads: size.default(24),
  attention_head_dim: size.default(128),
  num_layers: layers.default(20),
  num_single_layers: layers.default(40),
  num_refiner_layers: layers.default(2),
  mlp_ratio: z.number().positive().default(4),
  patch_size: size.default(2),
  patch_size_t: size.default(1),
  qk_norm: z.enum(["rms_norm", "layer_norm", "fp32_layer_norm"]).nullable().default("rms_norm"),
  guidance_embeds: z.boolean().default(true),
  text_embed_dim: size.default(4096),
  pooled_projection_dim: size.default(768),
  rope_theta: z.number().positive().default(256),
  rope_axes_dim: rotaryAxes.default([16, 56, 56]),
  image_condition_type: z.enum(["latent_concat", "token_replace"]).nullable().default(null),
});

/** HunyuanVideoTransformer3DModel's options in camelCase, and sizes derived from them. */
export interface HunyuanVideoTransformerConfig {
  /** Channels of the latents and of what is seen beside them. */
  inChannels: number;
  /** Channels of the latents. */
  outChannels: number;
  numLayers: number;
  numSingleLayers: number;
  numRefinerLayers: number;
  numAttentionHeads: number;
  attentionHeadDim: number;
  /** Width of the token streams: heads * width of a head. */
  innerDim: number;
  /** Width of the blocks' MLPs. */
  mlpFeatures: number;
  /** Side of a patch, in latent pixels. */
  patchSize: number;
  /** Length of a patch, in latent frames. */
  patchSizeT: number;
  qkNorm: QueryKeyNorm;
  guidanceEmbeds: boolean;
  /**
   * How the network sees the image that a video begins with: as channels beside the latents, or as the first
   * frame's tokens. Undefined for videos from text.
   */
  imageCondition: "latent_concat" | "token_replace" | undefined;
  textEmbedDim: number;
  pooledProjectionDim: number;
  ropeTheta: number;
  /** Channels of a head that are rotated by time, row and column. */
  ropeAxesDim: [number, number, number];
}

/**
 * Checks a parsed transformer/config.json.
 * @throws {CheckpointError} naming the option that is unknown, wrong or contradicts another.
 */
export function parseHunyuanVideoTransformerConfig(json: unknown): HunyuanVideoTransformerConfig {
  const path = "transformer/config.json";
  const config = parseConfig(schema, json, { className: "HunyuanVideoTransformer3DModel", path });
  const ropeAxesDim = config.rope_axes_dim;
  requireRotaryAxes(path, { name: "rope_axes_dim", axes: ropeAxesDim, headDim: config.attention_head_dim });
  const outChannels = config.out_channels ?? config.in_channels;
  const imageCondition = config.image_condition_type ?? undefined;
  if (imageCondition === "latent_concat") {
    // The latents, the image's latents, a mask.
    assertFit("in_channels", {
      value: config.in_channels,
      expected: 2 * outChannels + 1,
      of: "twice 'out_channels' plus 1 under 'image_condition_type' \"latent_concat\"",
    });
  } else if (outChannels !== config.in_channels) {
    throw new CheckpointError(
      `Cannot use ${path} as 'out_channels' must equal 'in_channels' (${config.in_channels}): ` +
        `current value is ${outChannels}`,
    );
  }
  if (imageCondition !== undefined) {
    assertFit("patch_size_t", {
      value: config.patch_size_t,
      expected: 1,
      of: "one latent frame under 'image_condition_type'",
    });
  }
  const innerDim = config.num_attention_heads * config.attention_head_dim;
  return {
    inChannels: config.in_channels,
    outChannels,
    numLayers: config.num_layers,
    numSingleLayers: config.num_single_layers,
    numRefinerLayers: config.num_refiner_layers,
    numAttentionHeads: config.num_attention_heads,
    attentionHeadDim: config.attention_head_dim,
    innerDim,
    mlpFeatures: Math.trunc(innerDim * config.mlp_ratio),
    patchSize: config.patch_size,
    patchSizeT: config.patch_size_t,
    qkNorm: config.qk_norm,
    guidanceEmbeds: config.guidance_embeds,
    imageCondition,
    textEmbedDim: config.text_embed_dim,
    pooledProjectionDim: config.pooled_projection_dim,
    ropeTheta: config.rope_theta,
    ropeAxesDim,
  };
}
