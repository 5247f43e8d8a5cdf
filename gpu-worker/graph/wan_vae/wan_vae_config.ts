// Schemas of the config.json of AutoencoderKLWan, and of AutoencoderKLQwenImage and
// AutoencoderKLQwenImage21, which are Wan2.1's and Wan2.2's for pictures (diffusers 0.42.1). Every option
// of the classes is supported or rejected.
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

/** Qwen-Image-2.1's latent channels. */
// deno-fmt-ignore
const MEAN_21 = [
  0.5126, 0.7721, -0.0631, 1.3506, -0.7855, -2.1025, -0.3458, 1.3722,
  1.8873, -1.7177, -0.651, 0.2732, 0.7562, -0.6163, -1.0277, 3.8363,
  2.021, 0.0472, 0.932, 2.0087, 2.4954, -0.1391, -1.4249, 1.8464,
  -0.5236, 1.2826, 3.7046, -1.3035, 2.7286, -1.4518, -1.9036, -1.9955,
  -0.0342, -1.0265, -0.7636, 3.0555, 0.0746, -3.0751, -0.1076, 1.7376,
  -1.0914, -1.9435, -0.2784, -1.368, 0.4809, -0.4433, 0.3764, 0.5729,
  -2.0595, 1.096, -1.326, -2.0211, -5.0179, 0.5275, 4.0162, 1.8505,
  0.3026, 1.9373, 1.4937, 0.2632, 0.5547, -1.7121, -0.1562, 0.0304,
];
// deno-fmt-ignore
const STD_21 = [
  3.2001, 3.2936, 3.4321, 3.0091, 3.1061, 4.0379, 4.0705, 3.791,
  3.0785, 3.65, 3.9308, 3.0904, 2.8778, 3.7675, 3.732, 5.0756,
  3.2864, 4.0397, 3.1317, 4.0443, 2.9249, 3.9454, 3.0988, 4.2489,
  3.4896, 3.8513, 3.9323, 3.4719, 3.7498, 4.283, 3.5694, 4.2467,
  3.9037, 3.2947, 5.077, 3.5075, 3.27, 3.4767, 2.8063, 5.1125,
  3.5327, 4.7833, 3.1286, 4.1819, 3.8527, 3.8312, 3.5605, 4.3875,
  3.9624, 4.0168, 3.5643, 4.055, 5.5614, 4.2963, 4.408, 3.4959,
  3.8747, 3.7608, 3.5735, 3.149, 3.7662, 3.6746, 3.4563, 3.8161,
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
  attn_scales: z.array(z.unknown()).default([]),
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

const AUTOENCODER_KL_QWEN_IMAGE_21 = z.strictObject({
  ...COMMON,
  decoder_base_dim: count.nullable().default(144),
  z_dim: count.default(64),
  dim_mult: z.array(count).nonempty().default([1, 2, 4, 8, 8]),
  temperal_downsample: z.array(z.boolean()).default([false, true, true, true]),
  latents_mean: z.array(z.number()).default(MEAN_21),
  latents_std: z.array(z.number().positive()).default(STD_21),
  is_residual: z.boolean().default(true),
  // The fourth channel is opacity.
  out_channels: z.union([z.literal(3), z.literal(4)]).default(4),
  patch_size: z.null("is of Wan2.2's autoencoder").default(null),
  scale_factor_temporal: count.default(8),
  scale_factor_spatial: count.default(16),
  in_channels: z.union([z.literal(3), z.literal(4)]).default(4),
});

/** The options in camelCase, as far as the graphs use them. */
export interface WanVaeConfig {
  latentChannels: number;
  /** Channels at each resolution, coarsest first. */
  channels: readonly number[];
  /** The encoder's channels: of its first convolution, then at each resolution, finest first. */
  encoderChannels: readonly number[];
  /** Whether diffusers' encoder runs: with attention among its blocks it does not. */
  hasEncoder: boolean;
  /** Residual blocks in each up block, besides the one that changes the channels. */
  numResBlocks: number;
  /** Whether each upsampling doubles the frames, coarsest first; one entry fewer than `channels`. */
  temporalUpsample: readonly boolean[];
  /** Whether up blocks have a shortcut and keep their channels when they upsample, as in Wan2.2. */
  isResidual: boolean;
  /** Side of the squares of pixels that the decoder writes as channels. */
  patchSize: number;
  /** Channels that the encoder takes for each pixel: three colours, and opacity if there are four. */
  inChannels: number;
  /** Channels that the decoder has for each pixel, like `inChannels`. */
  outChannels: number;
  /** Whether convolutions are stored without the axis of time, for pictures alone. */
  flatKernels: boolean;
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

/**
 * Checks an AutoencoderKLQwenImage21's config.json.
 * @throws {CheckpointError} naming the option, the rule and the value.
 */
export function parseAutoencoderKLQwenImage21Config(json: unknown, path: string): WanVaeConfig {
  const config = parseConfig(AUTOENCODER_KL_QWEN_IMAGE_21, json, {
    className: "AutoencoderKLQwenImage21",
    path,
  });
  const { is_residual: isResidual, decoder_base_dim, base_dim } = config;
  const { in_channels: inChannels, out_channels: outChannels } = config;
  const require = requirement(path);
  const derived = derive(config, { path, base: decoder_base_dim ?? base_dim, isResidual, patchSize: 1 });
  const { temporalScale, spatialScale } = derived;
  require("scale_factor_temporal", config.scale_factor_temporal, temporalScale, "be what the blocks make");
  require("scale_factor_spatial", config.scale_factor_spatial, spatialScale, "be what the blocks make");
  return { ...derived, inChannels, outChannels, flatKernels: true };
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
  const { dim_mult, temperal_downsample, z_dim, attn_scales } = config;
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
      `Cannot use ${path} as 'base_dim' * 'dim_mult' must be even where upsampling halves it: ` +
        `current value is ${odd}`,
    );
  }
  const temporalUpsample = temperal_downsample.toReversed();
  const uneven = isResidual ? unevenShortcut(channels, temporalUpsample) : undefined;
  if (uneven !== undefined) {
    throw new CheckpointError(
      `Cannot use ${path} as 'dim_mult' must let each shortcut repeat its channels evenly: ` +
        `current value is [${dim_mult}]`,
    );
  }
  return {
    latentChannels: z_dim,
    channels,
    encoderChannels: [1, ...dim_mult].map((factor) => config.base_dim * factor),
    hasEncoder: attn_scales.length === 0,
    numResBlocks: config.num_res_blocks,
    temporalUpsample,
    isResidual,
    patchSize,
    inChannels: 3,
    outChannels: 3,
    flatKernels: false,
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
