// The encoder of diffusers' AutoencoderKL: from pixels to the denoiser's latents.
import {
  type AutoencoderKLConfig,
  latentScaling,
  parseAutoencoderKLConfig,
  VAE_EPS,
  vaeComputeType,
} from "./autoencoder_kl_config.ts";
import { midBlock, outputConvolution } from "./autoencoder_kl_blocks.ts";
import type { AutoencoderKLOptions } from "./autoencoder_kl_decoder.ts";
import { GraphBuilder, type OnnxModel, type Value } from "../graph_builder.ts";
import { conv2d } from "../layers/convolution/conv2d.ts";
import { resnetStage } from "../layers/convolution/resnet_stage.ts";

/**
 * Builds the graph sample [batch, in_channels, f h, f w] in -1..1 -> mean and std [batch, latent_channels, h,
 * w], all float32, with f = 2^(blocks - 1).
 * The denoiser's latents are `mean + std * noise` with standard normal noise. The
 * graph applies the config's scaling.
 * @throws {CheckpointError} if the config asks for something unsupported, or contradicts the weights.
 */
export function autoencoderKLEncoderGraph(options: AutoencoderKLOptions): OnnxModel {
  const config = parseAutoencoderKLConfig(options.config, `${options.name ?? "vae"}/config.json`);
  return autoencoderKLEncoder({
    ...options,
    config,
    dims: ["batch", config.latent_channels, "height", "width"],
    toLatents: (graph, posterior) => scaled(graph, posterior, config),
  });
}

/** The posterior's mean and standard deviation, or those of the latents. */
export interface Posterior {
  mean: Value;
  std: Value;
}

export interface AutoencoderKLEncoderOptions extends Omit<AutoencoderKLOptions, "config"> {
  config: AutoencoderKLConfig;
  /** Shape of the latents. */
  dims: readonly (string | number)[];
  /** Converts the autoencoder's posterior to the denoiser's scale. */
  toLatents(graph: GraphBuilder, posterior: Posterior): Posterior;
}

/** Builds the graph of an encoder whose latents need other steps after it than AutoencoderKL's. */
export function autoencoderKLEncoder(options: AutoencoderKLEncoderOptions): OnnxModel {
  const { weights, config, name = "vae" } = options;
  const dtype = vaeComputeType(config, options.dtype);
  const graph = new GraphBuilder({ name: `${name}_encoder`, weights, dtype });
  const { in_channels: inChannels, latent_channels: latentChannels, act_fn: act } = config;
  const widths = config.block_out_channels;
  const wide = widths.at(-1)!;
  const norm = { groups: config.norm_num_groups, eps: VAE_EPS };

  const sample = graph.input("sample", ["batch", inChannels, "sample_height", "sample_width"], "float32");
  let x = conv2d(graph, graph.cast(sample), {
    name: "encoder.conv_in",
    inChannels,
    outChannels: widths[0]!,
    kernelSize: 3,
  });
  widths.forEach((width, i) => {
    const block = `encoder.down_blocks.${i}`;
    const resnets = config.layers_per_block;
    x = graph.scope(`down_block_${i}`, () => {
      const y = resnetStage(graph, x, {
        name: block,
        inChannels: widths[i - 1] ?? width,
        outChannels: width,
        resnets,
        attentions: config.down_block_types[i] === "AttnDownEncoderBlock2D" ? resnets : 0,
        act,
        ...norm,
      });
      if (i === widths.length - 1) return y;
      return conv2d(graph, y, {
        name: `${block}.downsamplers.0.conv`,
        inChannels: width,
        outChannels: width,
        kernelSize: 3,
        stride: 2,
        padding: [0, 0, 1, 1],
      });
    });
  });
  x = midBlock(graph, x, { part: "encoder", config });
  const moments = 2 * latentChannels;
  x = outputConvolution(graph, x, { part: "encoder", config, inChannels: wide, outChannels: moments });
  if (config.use_quant_conv) {
    x = conv2d(graph, x, { name: "quant_conv", inChannels: moments, outChannels: moments, kernelSize: 1 });
  }
  const { mean, std } = graph.scope(
    "scale",
    () => options.toLatents(graph, posteriorOf(graph, graph.cast(x, "float32"))),
  );
  graph.output("mean", mean, options.dims);
  graph.output("std", std, options.dims);
  return { ...graph.build(), memPattern: false };
}

/** Splits the moments: mean, log variance. */
function posteriorOf(graph: GraphBuilder, moments: Value): Posterior {
  const [mean, logVariance] = graph.nodes("Split", [moments], {
    outputs: 2,
    attributes: { axis: 1, num_outputs: 2 },
  });
  // diffusers' DiagonalGaussianDistribution clamps here too.
  const clamped = graph.node("Clip", [
    logVariance,
    graph.scalar(-30, "float32"),
    graph.scalar(20, "float32"),
  ]);
  return {
    mean: mean!,
    std: graph.node("Exp", [graph.node("Mul", [clamped, graph.scalar(0.5, "float32")])]),
  };
}

/** Normalises the posterior to the denoiser's scale. */
function scaled(graph: GraphBuilder, { mean, std }: Posterior, config: AutoencoderKLConfig): Posterior {
  const { scale, shift } = latentScaling(config);
  const perChannel = (values: number[]) => graph.constant(values, [values.length, 1, 1], "float32");
  const centred = graph.node("Sub", [mean, perChannel(shift)]);
  return {
    mean: graph.node("Div", [centred, perChannel(scale)]),
    std: graph.node("Div", [std, perChannel(scale)]),
  };
}
