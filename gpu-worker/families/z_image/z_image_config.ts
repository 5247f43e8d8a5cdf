// The options of diffusers' ZImageTransformer2DModel (0.42.1), with its defaults.
import { showValue } from "../../../sampler/mod.ts";
import { z } from "zod";
import { rotaryAxes } from "../../checkpoint/rotary_axes.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import { parseConfig } from "../../checkpoint/parse_config.ts";

const size = z.int().positive();

const schema = z.strictObject({
  // ZImagePipeline uses patches of 2x2 pixels and one frame, whatever else a checkpoint has layers for.
  all_patch_size: z.tuple([z.literal(2)]).default([2]),
  all_f_patch_size: z.tuple([z.literal(1)]).default([1]),
  in_channels: size.default(16),
  dim: size.default(3840),
  n_layers: size.default(30),
  n_refiner_layers: z.int().nonnegative().default(2),
  n_heads: size.default(30),
  // diffusers reads this option and gives keys as many heads as queries.
  n_kv_heads: z.unknown().optional(),
  norm_eps: z.number().positive().default(1e-5),
  qk_norm: z.boolean().default(true),
  cap_feat_dim: size.default(2560),
  // Only ZImageOmniPipeline reads pictures.
  siglip_feat_dim: z.null().default(null),
  rope_theta: z.number().positive().default(256),
  t_scale: z.number().positive().default(1000),
  axes_dims: rotaryAxes.default([32, 48, 48]),
  axes_lens: z.tuple([size, size, size]).default([1024, 512, 512]),
});

/** ZImageTransformer2DModel's options in camelCase, and sizes derived from them. */
export interface ZImageTransformerConfig {
  inChannels: number;
  /** Width of the token streams. */
  dim: number;
  numLayers: number;
  /** Number of blocks that refine image and text each before they are joined. */
  numRefinerLayers: number;
  heads: number;
  headDim: number;
  /** Width of the blocks' MLPs. */
  mlpFeatures: number;
  /** Width of the timestep's embedding. */
  conditioningDim: number;
  normEps: number;
  qkNorm: boolean;
  /** Width of the text encoder's states. */
  capFeatDim: number;
  ropeTheta: number;
  tScale: number;
  axesDims: readonly number[];
  /** Number of positions on each axis. */
  axesLens: readonly number[];
}

/** Side of the squares of latent pixels that become tokens. */
export const PATCH = 2;
/** Image and text are each padded to a multiple of this many tokens (SEQ_MULTI_OF). */
export const TOKEN_MULTIPLE = 32;
/** ADALN_EMBED_DIM. */
const CONDITIONING_DIM = 256;

/**
 * Checks a parsed transformer/config.json.
 * @throws {CheckpointError} naming the option that is unknown, wrong or contradicts another.
 */
export function parseZImageTransformerConfig(json: unknown): ZImageTransformerConfig {
  const path = "transformer/config.json";
  const config = parseConfig(schema, json, { className: "ZImageTransformer2DModel", path });
  const { dim, n_heads: heads, axes_dims: axesDims } = config;
  if (dim % heads !== 0) {
    throw new CheckpointError(
      `Cannot use ${path}: 'dim' must be a multiple of 'n_heads' (${heads}), but is ${dim}.`,
    );
  }
  if (axesDims.reduce((sum, axis) => sum + axis, 0) !== dim / heads) {
    throw new CheckpointError(
      `Cannot use ${path}: 'axes_dims' must add up to 'dim' / 'n_heads' (${dim / heads}), but is [${
        showValue(axesDims.join())
      }].`,
    );
  }
  return {
    inChannels: config.in_channels,
    dim,
    numLayers: config.n_layers,
    numRefinerLayers: config.n_refiner_layers,
    heads,
    headDim: dim / heads,
    mlpFeatures: Math.trunc(dim / 3 * 8),
    conditioningDim: Math.min(dim, CONDITIONING_DIM),
    normEps: config.norm_eps,
    qkNorm: config.qk_norm,
    capFeatDim: config.cap_feat_dim,
    ropeTheta: config.rope_theta,
    tScale: config.t_scale,
    axesDims,
    axesLens: config.axes_lens,
  };
}
