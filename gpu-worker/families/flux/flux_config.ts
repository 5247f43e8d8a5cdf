// The options of diffusers' FluxTransformer2DModel (0.42.1), with its defaults.
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
  patch_size: size.default(1),
  out_channels: size.nullable().default(null),
  pooled_projection_dim: size.default(768),
  guidance_embeds: z.boolean().default(false),
});

/** FluxTransformer2DModel's options in camelCase, and sizes derived from them. */
export interface FluxTransformerConfig extends FluxBlocksConfig {
  /** Channels of an output token: patch_size^2 * (out_channels or in_channels). */
  outChannels: number;
  pooledProjectionDim: number;
  guidanceEmbeds: boolean;
}

/**
 * Checks a parsed transformer/config.json.
 * @throws {CheckpointError} naming the option that is unknown, wrong or contradicts another.
 */
export function parseFluxTransformerConfig(json: unknown): FluxTransformerConfig {
  const path = "transformer/config.json";
  const config = parseConfig(schema, json, { className: "FluxTransformer2DModel", path });
  return {
    ...fluxBlocksConfig(config, path),
    outChannels: config.patch_size ** 2 * (config.out_channels ?? config.in_channels),
    pooledProjectionDim: config.pooled_projection_dim,
    guidanceEmbeds: config.guidance_embeds,
  };
}
