// Schema of AutoencoderKL's config.json in diffusers. Every option of the class is supported or rejected.
import { z } from "zod";
import type { DType } from "../../runtime/dtype.ts";
import { DIFFUSERS_ACTIVATIONS } from "../layers/dense/activation.ts";
import { parseConfig } from "../../checkpoint/parse_config.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";

const count = z.int().positive();
const sizes = z.array(count).nonempty();

/** The class's defaults. Old checkpoints leave out options that they did not set. */
const AUTOENCODER_KL_CONFIG = z.strictObject({
  in_channels: count.default(3),
  out_channels: count.default(3),
  down_block_types: z.array(z.enum(["DownEncoderBlock2D", "AttnDownEncoderBlock2D"])).default([
    "DownEncoderBlock2D",
  ]),
  up_block_types: z.array(z.enum(["UpDecoderBlock2D", "AttnUpDecoderBlock2D"])).default(["UpDecoderBlock2D"]),
  block_out_channels: sizes.default([64]),
  layers_per_block: count.default(1),
  act_fn: z.string().toLowerCase().pipe(z.enum(DIFFUSERS_ACTIVATIONS)).default("silu"),
  latent_channels: count.default(4),
  norm_num_groups: count.default(32),
  /** Side of the training pictures in pixels: the size of a tile. */
  sample_size: z.union([count, sizes]).default(32),
  scaling_factor: z.number().positive().default(0.18215),
  shift_factor: z.number().nullish(),
  latents_mean: z.array(z.number()).nullish(),
  latents_std: z.array(z.number().positive()).nullish(),
  force_upcast: z.boolean().default(true),
  use_quant_conv: z.boolean().default(true),
  use_post_quant_conv: z.boolean().default(true),
  mid_block_add_attention: z.boolean().default(true),
});

export type AutoencoderKLConfig = z.infer<typeof AUTOENCODER_KL_CONFIG>;

/** Epsilon of every norm, a constant of this class in diffusers. */
export const VAE_EPS = 1e-6;

/**
 * Checks an AutoencoderKL's config.json.
 * @throws {CheckpointError} naming the option, the rule and the value.
 */
export function parseAutoencoderKLConfig(json: unknown, path: string): AutoencoderKLConfig {
  const config = parseConfig(AUTOENCODER_KL_CONFIG, json, { className: "AutoencoderKL", path });
  const { block_out_channels: channels, norm_num_groups: groups, latent_channels } = config;
  for (const key of ["down_block_types", "up_block_types"] as const) {
    if (config[key].length !== channels.length) {
      throw new CheckpointError(
        `Cannot use ${path} as '${key}' must have as many entries as 'block_out_channels': ` +
          `current values are ${config[key].length} and ${channels.length}`,
      );
    }
  }
  const odd = channels.find((n) => n % groups !== 0);
  if (odd !== undefined) {
    throw new CheckpointError(
      `Cannot use ${path} as 'block_out_channels' must be multiples of 'norm_num_groups' (${groups}): ` +
        `current value is ${odd}`,
    );
  }
  const { latents_mean: mean, latents_std: std, shift_factor: shift } = config;
  if ((mean || std) && (mean?.length !== latent_channels || std?.length !== latent_channels)) {
    throw new CheckpointError(
      `Cannot use ${path} as 'latents_mean' and 'latents_std' must both have 'latent_channels' ` +
        `(${latent_channels}) entries: current lengths are ${mean?.length ?? 0} and ${std?.length ?? 0}`,
    );
  }
  if (mean && typeof shift === "number") {
    throw new CheckpointError(
      `Cannot use ${path} as 'shift_factor' and 'latents_mean' exclude each other: ` +
        `current value of shift_factor is ${shift}`,
    );
  }
  return config;
}

/**
 * Returns the compute type for a requested `dtype`. diffusers' pipelines
 * upcast too, and Conv has no bfloat16.
 */
export function vaeComputeType(config: AutoencoderKLConfig, dtype: DType): DType {
  return dtype === "float16" && !config.force_upcast ? "float16" : "float32";
}

/** Scale and shift for each latent channel: the autoencoder's latent = the denoiser's * scale + shift. */
export interface LatentScaling {
  scale: number[];
  shift: number[];
}

/**
 * Combines `scaling_factor` and `shift_factor` (FLUX, SD3) or `latents_mean` and `latents_std` (some SDXL).
 */
export function latentScaling(config: AutoencoderKLConfig): LatentScaling {
  const { latent_channels: channels, scaling_factor, shift_factor, latents_mean, latents_std } = config;
  return {
    scale: Array.from({ length: channels }, (_, c) => (latents_std?.[c] ?? 1) / scaling_factor),
    shift: Array.from({ length: channels }, (_, c) => latents_mean?.[c] ?? shift_factor ?? 0),
  };
}
