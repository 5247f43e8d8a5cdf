// Schema of AutoencoderKLHunyuanVideo's config.json in diffusers. Every option of the
// class is supported or rejected.
import { z } from "zod";
import { DIFFUSERS_ACTIVATIONS } from "../../graph/layers/dense/activation.ts";
import { parseConfig } from "../../checkpoint/parse_config.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";

const count = z.int().positive();
const blocks = (kind: "Up" | "Down") =>
  z.array(z.literal(`HunyuanVideo${kind}Block3D`)).default(Array(4).fill(`HunyuanVideo${kind}Block3D`));

const AUTOENCODER_KL_HUNYUAN_VIDEO_CONFIG = z.strictObject({
  in_channels: count.default(3),
  out_channels: z.literal(3).default(3),
  latent_channels: count.default(16),
  down_block_types: blocks("Down"),
  up_block_types: blocks("Up"),
  block_out_channels: z.array(count).min(3, "time is doubled in two blocks before the last").default([
    128,
    256,
    512,
    512,
  ]),
  layers_per_block: count.default(2),
  act_fn: z.string().toLowerCase().pipe(z.enum(DIFFUSERS_ACTIVATIONS)).default("silu"),
  norm_num_groups: count.default(32),
  scaling_factor: z.number().positive().default(0.476986),
  spatial_compression_ratio: z.literal([1, 2, 4, 8, 16, 32]).default(8),
  temporal_compression_ratio: z.literal(4).default(4),
  mid_block_add_attention: z.boolean().default(true),
});

export type AutoencoderKLHunyuanVideoConfig = z.infer<typeof AUTOENCODER_KL_HUNYUAN_VIDEO_CONFIG>;

/**
 * Checks an AutoencoderKLHunyuanVideo's config.json.
 * @throws {CheckpointError} naming the option, the rule and the value.
 */
export function parseAutoencoderKLHunyuanVideoConfig(
  json: unknown,
  path: string,
): AutoencoderKLHunyuanVideoConfig {
  const className = "AutoencoderKLHunyuanVideo";
  const config = parseConfig(AUTOENCODER_KL_HUNYUAN_VIDEO_CONFIG, json, { className, path });
  const { block_out_channels: channels, norm_num_groups: groups, spatial_compression_ratio: ratio } = config;
  const refuse = (rule: string, value: unknown) => {
    throw new CheckpointError(`Cannot use ${path} as ${rule}: current value is ${value}`);
  };
  for (const key of ["down_block_types", "up_block_types"] as const) {
    if (config[key].length !== channels.length) {
      refuse(
        `'${key}' must have as many entries as 'block_out_channels' (${channels.length})`,
        config[key].length,
      );
    }
  }
  const odd = channels.find((n) => n % groups !== 0);
  if (odd !== undefined) {
    refuse(`'block_out_channels' must be multiples of 'norm_num_groups' (${groups})`, odd);
  }
  if (ratio > 2 ** channels.length) {
    refuse(`'spatial_compression_ratio' must be at most 2^${channels.length}, twice a block`, ratio);
  }
  return config;
}
