// The decoder of diffusers' AutoencoderKL: from the denoiser's latents to pixels.
import type { DType } from "../../runtime/dtype.ts";
import {
  type AutoencoderKLConfig,
  latentScaling,
  parseAutoencoderKLConfig,
  VAE_EPS,
  vaeComputeType,
} from "./autoencoder_kl_config.ts";
import { midBlock, outputConvolution } from "./autoencoder_kl_blocks.ts";
import { GraphBuilder, type OnnxModel, type Value } from "../graph_builder.ts";
import { conv2d } from "../layers/convolution/conv2d.ts";
import { resnetStage } from "../layers/convolution/resnet_stage.ts";
import { upsample2d } from "../layers/convolution/upsample2d.ts";
import type { Weights } from "../../checkpoint/weights.ts";

export interface AutoencoderKLOptions {
  /** The component's parsed config.json. */
  config: unknown;
  weights: Weights;
  /**
   * Compute type: float16 if requested, unless the config has `force_upcast`. Everything else means float32.
   */
  dtype: DType;
  /** Component folder, for names and errors. @default "vae" */
  name?: string;
}

/**
 * Builds the graph latent [batch, latent_channels, h, w] -> sample [batch, out_channels, f h, f w], both
 * float32, with f = 2^(blocks - 1).
 * The latent is in the denoiser's scale; the graph undoes the config's scaling. A sample is
 * mostly in -1..1 and not clamped.
 * @throws {CheckpointError} if the config asks for something unsupported, or contradicts the weights.
 */
export function autoencoderKLDecoderGraph(options: AutoencoderKLOptions): OnnxModel {
  const config = parseAutoencoderKLConfig(options.config, `${options.name ?? "vae"}/config.json`);
  const { latent_channels: channels } = config;
  return autoencoderKLDecoder({
    ...options,
    config,
    latents: (graph) => {
      const latent = graph.input("latent", ["batch", channels, "height", "width"], "float32");
      return graph.scope("unscale", () => unscale(graph, latent, config));
    },
  });
}

export interface AutoencoderKLDecoderOptions extends Omit<AutoencoderKLOptions, "config"> {
  config: AutoencoderKLConfig;
  /** Declares the latents and emits the autoencoder's own, [batch, latent_channels, h, w] float32. */
  latents(graph: GraphBuilder): Value;
}

/** Builds the graph of a decoder whose latents need other steps before it than AutoencoderKL's. */
export function autoencoderKLDecoder(options: AutoencoderKLDecoderOptions): OnnxModel {
  const { config, weights, name = "vae" } = options;
  const dtype = vaeComputeType(config, options.dtype);
  const graph = new GraphBuilder({ name: `${name}_decoder`, weights, dtype });
  const { latent_channels: latentChannels, out_channels: outChannels, act_fn: act } = config;
  const widths = config.block_out_channels.toReversed();
  const wide = widths[0]!;
  const narrow = widths.at(-1)!;
  const norm = { groups: config.norm_num_groups, eps: VAE_EPS };

  let x = graph.cast(options.latents(graph));
  if (config.use_post_quant_conv) {
    const channels = { inChannels: latentChannels, outChannels: latentChannels };
    x = conv2d(graph, x, { name: "post_quant_conv", ...channels, kernelSize: 1 });
  }
  x = conv2d(graph, x, {
    name: "decoder.conv_in",
    inChannels: latentChannels,
    outChannels: wide,
    kernelSize: 3,
  });
  x = midBlock(graph, x, { part: "decoder", config });
  widths.forEach((width, i) => {
    const block = `decoder.up_blocks.${i}`;
    const resnets = config.layers_per_block + 1;
    x = graph.scope(`up_block_${i}`, () => {
      const y = resnetStage(graph, x, {
        name: block,
        inChannels: widths[i - 1] ?? wide,
        outChannels: width,
        resnets,
        attentions: config.up_block_types[i] === "AttnUpDecoderBlock2D" ? resnets : 0,
        act,
        ...norm,
      });
      const last = i === widths.length - 1;
      return last ? y : upsample2d(graph, y, { name: `${block}.upsamplers.0.conv`, channels: width });
    });
  });
  x = outputConvolution(graph, x, { part: "decoder", config, inChannels: narrow, outChannels });
  const pixels = graph.cast(x, "float32");
  graph.output("sample", pixels, ["batch", outChannels, "sample_height", "sample_width"]);
  return { ...graph.build(), memPattern: false };
}

/** Converts the denoiser's normalised latents to the autoencoder's. */
function unscale(graph: GraphBuilder, latent: Value, config: AutoencoderKLConfig): Value {
  const { scale, shift } = latentScaling(config);
  const perChannel = (values: number[]) => graph.constant(values, [values.length, 1, 1], "float32");
  const scaled = graph.node("Mul", [latent, perChannel(scale)]);
  return shift.some((s) => s !== 0) ? graph.node("Add", [scaled, perChannel(shift)]) : scaled;
}
