// Schemas of the config.json of AutoencoderKLWan and of AutoencoderKLQwenImage, which is Wan2.1's (diffusers
// 0.42.1). Every option of the classes is supported or rejected.
import { z } from "zod";
import { parseConfig } from "../../checkpoint/parse_config.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";

const count = z.int().positive();

/** Wan2.1's latent channels, which are the classes' defaults. */
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

const COMMON = {
  base_dim: count.default(96),
  z_dim: count.default(16),
  dim_mult: z.array(count).nonempty().default([1, 2, 4, 4]),
  num_res_blocks: count.default(2),
  temperal_downsample: z.array(z.boolean()).default([false, true, true]),
  latents_mean: z.array(z.number()).default(MEAN),
  latents_std: z.array(z.number().positive()).default(STD),
  // Options of the encoder and of training.
  attn_scales: z.unknown().optional(),
  dropout: z.unknown().optional(),
};

const AUTOENCODER_KL_WAN = z.strictObject({
  ...COMMON,
  decoder_base_dim: count.nullable().default(null),
  is_residual: z.boolean().default(false),
  out_channels: count.default(3),
  patch_size: count.nullable().default(null),
  scale_factor_temporal: count.default(4),
  scale_factor_spatial: count.default(8),
  in_channels: z.unknown().optional(),
  // In Wan2.2's file. diffusers' class ignores it.
  clip_output: z.unknown().optional(),
});

const AUTOENCODER_KL_QWEN_IMAGE = z.strictObject({
  ...COMMON,
  input_channels: z.literal(3, "must be 3: more are of pictures with layers").default(3),
});

/** The options in camelCase, as far as the decoder uses them. */
export interface WanVaeConfig {
  latentChannels: number;
  /** Channels at each resolution, coarsest first. */
  channels: readonly number[];
  /** Residual blocks in each up block, besides the one that changes the channels. */
  numResBlocks: number;
  /** Whether each upsampling doubles the frames, coarsest first; one entry fewer than `channels`. */
  temporalUpsample: readonly boolean[];
  /** Whether up blocks have a shortcut and keep their channels when they upsample, as in Wan2.2. */
  isResidual: boolean;
  /** Side of the squares of pixels that the decoder writes as channels. */
  patchSize: number;
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
export function parseAutoencoderKLWanConfig(json: unknown, path: string): WanVaeConfig {
  const config = parseConfig(AUTOENCODER_KL_WAN, json, { className: "AutoencoderKLWan", path });
  const { is_residual: isResidual, patch_size, decoder_base_dim, base_dim } = config;
  const patchSize = patch_size ?? 1;
  const require = requirement(path);
  const derived = derive(config, { path, base: decoder_base_dim ?? base_dim, isResidual, patchSize });
  const { temporalScale, spatialScale } = derived;
  require("scale_factor_temporal", config.scale_factor_temporal, temporalScale, "be what the blocks make");
  require("scale_factor_spatial", config.scale_factor_spatial, spatialScale, "be what the blocks make");
  require(
    "out_channels",
    config.out_channels,
    3 * patchSize ** 2,
    "be three colours of each pixel of a patch",
  );
  return derived;
}

/**
 * Checks an AutoencoderKLQwenImage's config.json.
 * @throws {CheckpointError} naming the option, the rule and the value.
 */
export function parseAutoencoderKLQwenImageConfig(json: unknown, path: string): WanVaeConfig {
  const config = parseConfig(AUTOENCODER_KL_QWEN_IMAGE, json, { className: "AutoencoderKLQwenImage", path });
  return derive(config, { path, base: config.base_dim, isResidual: false, patchSize: 1 });
}

type Common = z.infer<z.ZodObject<typeof COMMON>>;

function derive(
  config: Common,
  { path, base, isResidual, patchSize }: Pick<WanVaeConfig, "isResidual" | "patchSize"> & {
    path: string;
    /** The decoder's base_dim. */
    base: number;
  },
): WanVaeConfig {
  const { dim_mult, temperal_downsample, z_dim } = config;
  const require = requirement(path);
  const doublings = dim_mult.length - 1;
  require(
    "temperal_downsample",
    temperal_downsample.length,
    doublings,
    "have one entry fewer than 'dim_mult'",
  );
  require("latents_mean", config.latents_mean.length, z_dim, "have 'z_dim' entries");
  require("latents_std", config.latents_std.length, z_dim, "have 'z_dim' entries");
  const channels = dim_mult.map((factor) => base * factor).reverse();
  const odd = isResidual ? undefined : channels.slice(0, -1).find((n) => n % 2 !== 0);
  if (odd !== undefined) {
    throw new CheckpointError(
      `Cannot use ${path} as 'base_dim' * 'dim_mult' must be even where upsampling halves it: current value is ${odd}`,
    );
  }
  const temporalUpsample = temperal_downsample.toReversed();
  const uneven = isResidual ? unevenShortcut(channels, temporalUpsample) : undefined;
  if (uneven !== undefined) {
    throw new CheckpointError(
      `Cannot use ${path} as 'dim_mult' must let each shortcut repeat its channels evenly: current value is [${dim_mult}]`,
    );
  }
  return {
    latentChannels: z_dim,
    channels,
    numResBlocks: config.num_res_blocks,
    temporalUpsample,
    isResidual,
    patchSize,
    latentsMean: config.latents_mean,
    latentsStd: config.latents_std,
    temporalScale: 2 ** temperal_downsample.filter((doubles) => doubles).length,
    spatialScale: 2 ** doublings * patchSize,
  };
}

/** Returns the first block whose shortcut cannot repeat its channels a whole number of times. */
function unevenShortcut(
  channels: readonly number[],
  temporalUpsample: readonly boolean[],
): number | undefined {
  return temporalUpsample.map((doubles, i) => {
    const from = channels[Math.max(0, i - 1)]!;
    return channels[i]! * (doubles ? 8 : 4) % from === 0 ? undefined : i;
  }).find((block) => block !== undefined);
}

function requirement(path: string) {
  return (key: string, value: number, expected: number, rule: string) => {
    if (value === expected) return;
    throw new CheckpointError(
      `Cannot use ${path} as '${key}' must ${rule} (${expected}): current value is ${value}`,
    );
  };
}
