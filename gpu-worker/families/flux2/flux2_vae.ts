// The decoder of diffusers' AutoencoderKLFlux2, from the denoiser's latents: patches of 2x2 latents, normed
// with the statistics of a batch norm.
import { z } from "zod";
import { parseConfig } from "../../checkpoint/parse_config.ts";
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import {
  type AutoencoderKLConfig,
  parseAutoencoderKLConfig,
} from "../../graph/autoencoder_kl/autoencoder_kl_config.ts";
import {
  autoencoderKLDecoder,
  type AutoencoderKLOptions,
} from "../../graph/autoencoder_kl/autoencoder_kl_decoder.ts";
import type { GraphBuilder, OnnxModel, Value } from "../../graph/graph_builder.ts";

const PATH = "vae/config.json";
/** Side of the patches. */
export const PATCH = 2;

const count = z.int().positive();
const blocks = (type: string) => Array<string>(4).fill(type);

/**
 * The options that AutoencoderKL has too get the defaults of this class, and are checked as AutoencoderKL's.
 */
const schema = z.looseObject({
  down_block_types: z.unknown().default(blocks("DownEncoderBlock2D")),
  up_block_types: z.unknown().default(blocks("UpDecoderBlock2D")),
  block_out_channels: z.array(count).nonempty().default([128, 256, 512, 512]),
  decoder_block_out_channels: z.array(count).nullable().default(null),
  layers_per_block: z.unknown().default(2),
  latent_channels: count.default(32),
  sample_size: z.unknown().default(1024),
  batch_norm_eps: z.number().positive().default(1e-4),
  // An option of training.
  batch_norm_momentum: z.unknown().optional(),
  patch_size: z.tuple([z.literal(PATCH), z.literal(PATCH)]).default([PATCH, PATCH]),
  // Options of AutoencoderKL alone.
  scaling_factor: z.undefined().optional(),
  shift_factor: z.undefined().optional(),
  latents_mean: z.undefined().optional(),
  latents_std: z.undefined().optional(),
  force_upcast: z.undefined().optional(),
});

export interface Flux2VaeConfig {
  /** The decoder's options, as AutoencoderKL's. */
  decoder: AutoencoderKLConfig;
  latentChannels: number;
  batchNormEps: number;
  /** Pixels along the side of the autoencoder's own latents. */
  scale: number;
}

/**
 * Checks an AutoencoderKLFlux2's config.json.
 * @throws {CheckpointError} naming the option, the rule and the value.
 */
export function parseFlux2VaeConfig(json: unknown): Flux2VaeConfig {
  const config = parseConfig(schema, json, { className: "AutoencoderKLFlux2", path: PATH });
  const {
    batch_norm_eps: batchNormEps,
    batch_norm_momentum: _momentum,
    patch_size: _patch,
    decoder_block_out_channels: ofDecoder,
    block_out_channels: ofEncoder,
    ...rest
  } = config;
  const channels = ofDecoder ?? ofEncoder;
  if (channels.length !== ofEncoder.length) {
    throw new CheckpointError(
      `Cannot use ${PATH}: 'decoder_block_out_channels' must have as many entries as ` +
        `'block_out_channels' (${ofEncoder.length}), but has ${channels.length}.`,
    );
  }
  // The latents are normed by the batch norm instead.
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  const decoder = parseAutoencoderKLConfig(
    { ...given, block_out_channels: channels, scaling_factor: 1 },
    PATH,
  );
  return {
    decoder,
    latentChannels: config.latent_channels,
    batchNormEps,
    scale: 2 ** (ofEncoder.length - 1),
  };
}

/**
 * Builds the graph latent [batch, 4 * latent_channels, h, w] -> sample [batch, out_channels, f h, f w], both
 * float32, where f is twice the autoencoder's scale. A sample is mostly in -1..1 and not clamped.
 * @throws {CheckpointError} if the config asks for something unsupported, or contradicts the weights.
 */
export function flux2VaeDecoderGraph(options: Omit<AutoencoderKLOptions, "dtype">): OnnxModel {
  const { decoder: config, batchNormEps, latentChannels } = parseFlux2VaeConfig(options.config);
  const channels = PATCH ** 2 * latentChannels;
  return autoencoderKLDecoder({
    ...options,
    dtype: "float32",
    config,
    latents: (graph) => {
      const latent = graph.input("latent", ["batch", channels, "height", "width"], "float32");
      return graph.scope("unscale", () => {
        const plain = denormed(graph, latent, { channels, eps: batchNormEps });
        return graph.node("DepthToSpace", [plain], { attributes: { blocksize: PATCH, mode: "CRD" } });
      });
    },
  });
}

/** Emits latent * sqrt(variance + eps) + mean, the inverse of the batch norm. */
function denormed(
  graph: GraphBuilder,
  latent: Value,
  { channels, eps }: { channels: number; eps: number },
): Value {
  const statistic = (name: string) =>
    graph.node("Reshape", [
      graph.weight(`bn.running_${name}`, [channels], "float32"),
      graph.ints(channels, 1, 1),
    ]);
  const deviation = graph.node("Sqrt", [
    graph.node("Add", [statistic("var"), graph.scalar(eps, "float32")]),
  ]);
  return graph.node("Add", [graph.node("Mul", [latent, deviation]), statistic("mean")]);
}
