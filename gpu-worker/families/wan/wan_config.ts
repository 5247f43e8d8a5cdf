// The options of diffusers' WanTransformer3DModel (0.42.1), with its defaults: Wan2.1 and Wan2.2 from text
// and from frames.
import { z } from "zod";
import { parseConfig } from "../../checkpoint/parse_config.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";

const size = z.int().positive();

const schema = z.strictObject({
  // In every published model a patch spans one latent frame.
  patch_size: z.tuple([z.literal(1), size, size]).default([1, 2, 2]),
  num_attention_heads: size.default(40),
  attention_head_dim: size.multipleOf(2).default(128),
  in_channels: size.default(16),
  out_channels: size.nullable().default(16),
  text_dim: size.default(4096),
  freq_dim: size.multipleOf(2).default(256),
  ffn_dim: size.default(13824),
  num_layers: size.default(40),
  cross_attn_norm: z.boolean().default(true),
  // diffusers' class always uses this norm and ignores the option.
  qk_norm: z.literal("rms_norm_across_heads").default("rms_norm_across_heads"),
  eps: z.number().positive().default(1e-6),
  image_dim: size.nullable().default(null),
  added_kv_proj_dim: size.nullable().default(null),
  rope_max_seq_len: size.default(1024),
  pos_embed_seq_len: size.nullable().default(null),
});

/** WanTransformer3DModel's options in camelCase, and sizes derived from them. */
export interface WanTransformerConfig {
  /** Size of a patch, in latent pixels. */
  patchHeight: number;
  patchWidth: number;
  /** Channels of the latents and of what is seen beside them. */
  inChannels: number;
  outChannels: number;
  numLayers: number;
  numAttentionHeads: number;
  attentionHeadDim: number;
  /** Width of the token stream: heads * width of a head. */
  innerDim: number;
  textDim: number;
  freqDim: number;
  ffnDim: number;
  crossAttnNorm: boolean;
  /** Epsilon of every norm. */
  eps: number;
  /** Largest number of frames, rows or columns of patches. */
  ropeMaxSeqLen: number;
  /** Width of a vision encoder's states, which are read beside the text. Undefined without them. */
  imageDim: number | undefined;
  /** Tokens of a first and a last frame together, if the states have positions. */
  imagePositions: number | undefined;
  /** Whether each latent frame has a timestep of its own (WanPipeline's expand_timesteps). */
  frameTimesteps: boolean;
}

/**
 * Checks a parsed transformer/config.json.
 * @throws {CheckpointError} naming the option that is unknown, wrong or not supported.
 */
export function parseWanTransformerConfig(
  json: unknown,
  path = "transformer/config.json",
): WanTransformerConfig {
  const config = parseConfig(schema, json, { className: "WanTransformer3DModel", path });
  const [, patchHeight, patchWidth] = config.patch_size;
  if (config.attention_head_dim < 6) {
    throw new CheckpointError(
      `Cannot use ${path} as 'attention_head_dim' must have room for time, rows and columns (6): ` +
        `current value is ${config.attention_head_dim}`,
    );
  }
  const innerDim = config.num_attention_heads * config.attention_head_dim;
  const isWithImage = config.image_dim !== null;
  if (isWithImage !== (config.added_kv_proj_dim !== null)) {
    throw new CheckpointError(
      `Cannot use ${path} as 'added_kv_proj_dim' must be set exactly if 'image_dim' is, ` +
        `but is ${config.added_kv_proj_dim}`,
    );
  }
  if (isWithImage && config.added_kv_proj_dim !== innerDim) {
    throw new CheckpointError(
      `Cannot use ${path} as 'added_kv_proj_dim' must be the width of the blocks (${innerDim}), ` +
        `but is ${config.added_kv_proj_dim}`,
    );
  }
  if (config.pos_embed_seq_len !== null && !isWithImage) {
    throw new CheckpointError(
      `Cannot use ${path} as 'pos_embed_seq_len' must be null without 'image_dim', ` +
        `but is ${config.pos_embed_seq_len}`,
    );
  }
  return {
    patchHeight,
    patchWidth,
    inChannels: config.in_channels,
    outChannels: config.out_channels || config.in_channels,
    numLayers: config.num_layers,
    numAttentionHeads: config.num_attention_heads,
    attentionHeadDim: config.attention_head_dim,
    innerDim,
    textDim: config.text_dim,
    freqDim: config.freq_dim,
    ffnDim: config.ffn_dim,
    crossAttnNorm: config.cross_attn_norm,
    eps: config.eps,
    ropeMaxSeqLen: config.rope_max_seq_len,
    imageDim: config.image_dim ?? undefined,
    imagePositions: config.pos_embed_seq_len ?? undefined,
    frameTimesteps: false,
  };
}
