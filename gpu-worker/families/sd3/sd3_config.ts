// The options of diffusers' SD3Transformer2DModel (0.42.1), with its defaults.
import { z } from "zod";
import type { QueryKeyNorm } from "../../graph/layers/attention/norm_heads.ts";
import { parseConfig } from "../../checkpoint/parse_config.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";

const size = z.int().positive();

const schema = z.strictObject({
  sample_size: size.default(128),
  patch_size: size.default(2),
  in_channels: size.default(16),
  num_layers: size.default(18),
  attention_head_dim: size.default(64),
  num_attention_heads: size.default(18),
  joint_attention_dim: size.default(4096),
  caption_projection_dim: size.default(1152),
  pooled_projection_dim: size.default(2048),
  out_channels: size.nullable().default(16),
  pos_embed_max_size: size.default(96),
  dual_attention_layers: z.array(z.int().nonnegative()).default([]),
  qk_norm: z.enum(["rms_norm", "layer_norm", "fp32_layer_norm"]).nullable().default(null),
});

/** SD3Transformer2DModel's options in camelCase, and sizes derived from them. */
export interface Sd3TransformerConfig {
  /** Side of the latents that the model was trained on. Sets only the default size of pictures. */
  sampleSize: number;
  patchSize: number;
  inChannels: number;
  outChannels: number;
  numLayers: number;
  numAttentionHeads: number;
  attentionHeadDim: number;
  /** Width of the token streams: heads * width of a head. */
  innerDim: number;
  jointAttentionDim: number;
  pooledProjectionDim: number;
  /** Side of the table of positions, in patches. Each picture uses the middle of the table. */
  posEmbedMaxSize: number;
  /** Blocks with a second attention, over image tokens only. */
  dualAttentionLayers: ReadonlySet<number>;
  qkNorm: QueryKeyNorm;
}

/**
 * Checks a parsed transformer/config.json.
 * @throws {CheckpointError} naming the option that is unknown, wrong or contradicts another.
 */
export function parseSd3TransformerConfig(json: unknown): Sd3TransformerConfig {
  const path = "transformer/config.json";
  const config = parseConfig(schema, json, { className: "SD3Transformer2DModel", path });
  const innerDim = config.num_attention_heads * config.attention_head_dim;
  if (config.caption_projection_dim !== innerDim) {
    throw new CheckpointError(
      `Cannot use ${path} as 'caption_projection_dim' must be 'num_attention_heads' * ` +
        `'attention_head_dim' (${innerDim}): current value is ${config.caption_projection_dim}`,
    );
  }
  return {
    sampleSize: config.sample_size,
    patchSize: config.patch_size,
    inChannels: config.in_channels,
    outChannels: config.out_channels ?? config.in_channels,
    numLayers: config.num_layers,
    numAttentionHeads: config.num_attention_heads,
    attentionHeadDim: config.attention_head_dim,
    innerDim,
    jointAttentionDim: config.joint_attention_dim,
    pooledProjectionDim: config.pooled_projection_dim,
    posEmbedMaxSize: config.pos_embed_max_size,
    dualAttentionLayers: new Set(config.dual_attention_layers),
    qkNorm: config.qk_norm,
  };
}
