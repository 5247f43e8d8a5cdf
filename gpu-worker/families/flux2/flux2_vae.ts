// Decoder and encoder of diffusers' AutoencoderKLFlux2, from and to the denoiser's latents: patches of 2x2
// latents, normed with the statistics of a batch norm.
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
import { autoencoderKLEncoder } from "../../graph/autoencoder_kl/autoencoder_kl_encoder.ts";
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
  /** The same of the encoder. */
  encoder: AutoencoderKLConfig;
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
  const withChannels = (channels: readonly number[]) =>
    parseAutoencoderKLConfig({ ...given, block_out_channels: channels, scaling_factor: 1 }, PATH);
  return {
    decoder: withChannels(channels),
    encoder: withChannels(ofEncoder),
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

/**
 * Builds the graph sample [batch, in_channels, f h, f w] in -1..1 -> mean and std [batch, 4 *
 * latent_channels, h, w], all float32: the posterior in the denoiser's latents, with f as above.
 * @throws {CheckpointError} as `flux2VaeDecoderGraph`.
 */
export function flux2VaeEncoderGraph(options: Omit<AutoencoderKLOptions, "dtype">): OnnxModel {
  const { encoder: config, batchNormEps, latentChannels } = parseFlux2VaeConfig(options.config);
  const norm = { channels: PATCH ** 2 * latentChannels, eps: batchNormEps };
  return autoencoderKLEncoder({
    ...options,
    dtype: "float32",
    config,
    dims: ["batch", norm.channels, "latent_height", "latent_width"],
    toLatents: (graph, { mean, std }) => {
      const { mean: center, deviation } = statistics(graph, norm);
      const [patches, spreads] = [mean, std].map((values) => patchify(graph, values, latentChannels)) as [
        Value,
        Value,
      ];
      return {
        mean: graph.node("Div", [graph.node("Sub", [patches, center]), deviation]),
        std: graph.node("Div", [spreads, deviation]),
      };
    },
  });
}

/**
 * Emits the patches of 2x2 latents as channels, in the order in which DepthToSpace in mode CRD takes them.
 */
function patchify(graph: GraphBuilder, latents: Value, channels: number): Value {
  const shape = graph.node("Shape", [latents], { dtype: "int64" });
  const [batch, , height, width] = graph.nodes("Split", [shape], {
    attributes: { axis: 0, num_outputs: 4 },
    outputs: 4,
  });
  const half = (side: Value) => graph.node("Div", [side, graph.ints(PATCH)]);
  const [rows, columns] = [half(height!), half(width!)];
  const concat = (parts: Value[]) => graph.node("Concat", parts, { attributes: { axis: 0 } });
  const split = graph.node("Reshape", [
    latents,
    concat([batch!, graph.ints(channels), rows, graph.ints(PATCH), columns, graph.ints(PATCH)]),
  ]);
  const ordered = graph.node("Transpose", [split], { attributes: { perm: [0, 1, 3, 5, 2, 4] } });
  return graph.node("Reshape", [ordered, concat([batch!, graph.ints(PATCH ** 2 * channels), rows, columns])]);
}

/** Emits latent * sqrt(variance + eps) + mean, the inverse of the batch norm. */
function denormed(graph: GraphBuilder, latent: Value, norm: NormOptions): Value {
  const { mean, deviation } = statistics(graph, norm);
  return graph.node("Add", [graph.node("Mul", [latent, deviation]), mean]);
}

interface NormOptions {
  channels: number;
  eps: number;
}

/** Emits the batch norm's mean and sqrt(variance + eps), [channels, 1, 1] each. */
function statistics(
  graph: GraphBuilder,
  { channels, eps }: NormOptions,
): Record<"mean" | "deviation", Value> {
  const statistic = (name: string) =>
    graph.node("Reshape", [
      graph.weight(`bn.running_${name}`, [channels], "float32"),
      graph.ints(channels, 1, 1),
    ]);
  const deviation = graph.node("Sqrt", [
    graph.node("Add", [statistic("var"), graph.scalar(eps, "float32")]),
  ]);
  return { mean: statistic("mean"), deviation };
}
