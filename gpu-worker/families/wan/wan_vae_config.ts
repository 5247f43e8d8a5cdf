// Schema of AutoencoderKLWan's config.json (diffusers 0.42.1). Every option of the
// class is supported or rejected.
import { z } from "zod";
import { parseConfig } from "../../checkpoint/parse_config.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";

const count = z.int().positive();

/** Wan2.1's latent channels, which are the class's defaults. */
// deno-fmt-ignore
const MEAN = [
  -0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
  0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921,
];
// deno-fmt-ignore
const STD = [
  2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
  3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.9160,
];

const AUTOENCODER_KL_WAN_CONFIG = z.strictObject({
  base_dim: count.default(96),
  decoder_base_dim: count.nullable().default(null),
  z_dim: count.default(16),
  dim_mult: z.array(count).nonempty().default([1, 2, 4, 4]),
  num_res_blocks: count.default(2),
  temperal_downsample: z.array(z.boolean()).default([false, true, true]),
  latents_mean: z.array(z.number()).default(MEAN),
  latents_std: z.array(z.number().positive()).default(STD),
  is_residual: z.literal(false, "is of Wan2.2's autoencoder").default(false),
  out_channels: z.literal(3).default(3),
  patch_size: z.null("is of Wan2.2's autoencoder").default(null),
  scale_factor_temporal: count.default(4),
  scale_factor_spatial: count.default(8),
  // Options of the encoder and of training.
  in_channels: z.unknown().optional(),
  attn_scales: z.unknown().optional(),
  dropout: z.unknown().optional(),
});

/** AutoencoderKLWan's options in camelCase, as far as the decoder uses them. */
export interface AutoencoderKLWanConfig {
  latentChannels: number;
  /** Channels at each resolution, coarsest first. */
  channels: readonly number[];
  /** Residual blocks in each up block, besides the one that changes the channels. */
  numResBlocks: number;
  /** Whether each upsampling doubles the frames, coarsest first; one entry fewer than `channels`. */
  temporalUpsample: readonly boolean[];
  /** The autoencoder's latent = the denoiser's * std + mean. */
  latentsMean: readonly number[];
  latentsStd: readonly number[];
  /** Frames per latent frame, except the first, which gives one frame. */
  temporalScale: number;
  /** Pixels along the side of a latent pixel. */
  spatialScale: number;
}

/**
 * Checks an AutoencoderKLWan's config.json.
 * @throws {CheckpointError} naming the option, the rule and the value.
 */
export function parseAutoencoderKLWanConfig(json: unknown, path: string): AutoencoderKLWanConfig {
  const config = parseConfig(AUTOENCODER_KL_WAN_CONFIG, json, { className: "AutoencoderKLWan", path });
  const { dim_mult, temperal_downsample, z_dim } = config;
  const require = (key: keyof typeof config, value: number, expected: number, rule: string) => {
    if (value === expected) return;
    throw new CheckpointError(
      `Cannot use ${path} as '${key}' must ${rule} (${expected}): current value is ${value}`,
    );
  };
  const doublings = dim_mult.length - 1;
  require(
    "temperal_downsample",
    temperal_downsample.length,
    doublings,
    "have one entry fewer than 'dim_mult'",
  );
  require("latents_mean", config.latents_mean.length, z_dim, "have 'z_dim' entries");
  require("latents_std", config.latents_std.length, z_dim, "have 'z_dim' entries");
  const temporalScale = 2 ** temperal_downsample.filter((doubles) => doubles).length;
  require("scale_factor_temporal", config.scale_factor_temporal, temporalScale, "be what the blocks make");
  require("scale_factor_spatial", config.scale_factor_spatial, 2 ** doublings, "be what the blocks make");
  const base = config.decoder_base_dim ?? config.base_dim;
  const channels = dim_mult.map((factor) => base * factor).reverse();
  const odd = channels.slice(0, -1).find((n) => n % 2 !== 0);
  if (odd !== undefined) {
    throw new CheckpointError(
      `Cannot use ${path} as 'base_dim' * 'dim_mult' must be even where upsampling halves it: current value is ${odd}`,
    );
  }
  return {
    latentChannels: z_dim,
    channels,
    numResBlocks: config.num_res_blocks,
    temporalUpsample: temperal_downsample.toReversed(),
    latentsMean: config.latents_mean,
    latentsStd: config.latents_std,
    temporalScale,
    spatialScale: config.scale_factor_spatial,
  };
}
