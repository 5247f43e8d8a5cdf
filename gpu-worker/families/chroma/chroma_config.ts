// The options of diffusers' ChromaTransformer2DModel (0.42.1), with its defaults.
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
  // A quarter of the channels embeds the timestep, half of it by sines.
  approximator_num_channels: size.multipleOf(8).default(64),
  approximator_hidden_dim: size.default(5120),
  approximator_layers: size.default(5),
});

/** ChromaTransformer2DModel's options in camelCase, and sizes derived from them. */
export interface ChromaTransformerConfig extends FluxBlocksConfig {
  /** Channels of an output token: patch_size^2 * (out_channels or in_channels). */
  outChannels: number;
  approximatorNumChannels: number;
  approximatorHiddenDim: number;
  approximatorLayers: number;
}

/**
 * Checks a parsed transformer/config.json.
 * @throws {CheckpointError} naming the option that is unknown, wrong or contradicts another.
 */
export function parseChromaTransformerConfig(json: unknown): ChromaTransformerConfig {
  const path = "transformer/config.json";
  const config = parseConfig(schema, json, { className: "ChromaTransformer2DModel", path });
  return {
    ...fluxBlocksConfig(config, path),
    outChannels: config.patch_size ** 2 * (config.out_channels || config.in_channels),
    approximatorNumChannels: config.approximator_num_channels,
    approximatorHiddenDim: config.approximator_hidden_dim,
    approximatorLayers: config.approximator_layers,
  };
}
