// The options of diffusers' FluxControlNetModel (0.42.1), with its defaults.
import { z } from "zod";
import { parseConfig } from "../../checkpoint/parse_config.ts";
import {
  FLUX_BLOCKS_OPTIONS,
  type FluxBlocksConfig,
  fluxBlocksConfig,
} from "../../graph/flux_blocks_config.ts";

const size = z.int().positive();

const schema = z.strictObject({
  ...FLUX_BLOCKS_OPTIONS,
  patch_size: z.literal(1).default(1),
  pooled_projection_dim: size.default(768),
  guidance_embeds: z.boolean().default(false),
  num_mode: size.nullable().default(null),
  // XLabs' ControlNets see pixels and repeat their residuals.
  conditioning_embedding_channels: z.null("must be null: XLabs' kind of ControlNet is not supported")
    .optional(),
});

/** FluxControlNetModel's options in camelCase, and sizes derived from them. */
export interface FluxControlNetConfig extends FluxBlocksConfig {
  pooledProjectionDim: number;
  guidanceEmbeds: boolean;
  /** Number of kinds of control images of a union; 0 for one kind. */
  modes: number;
}

/**
 * Checks a parsed config of a ControlNet.
 * @param path shown in errors
 * @throws {CheckpointError} naming the option that is unknown, wrong or contradicts another.
 */
export function parseFluxControlNetConfig(json: unknown, path: string): FluxControlNetConfig {
  const config = parseConfig(schema, json, { className: "FluxControlNetModel", path });
  return {
    ...fluxBlocksConfig(config, path),
    pooledProjectionDim: config.pooled_projection_dim,
    guidanceEmbeds: config.guidance_embeds,
    modes: config.num_mode ?? 0,
  };
}
