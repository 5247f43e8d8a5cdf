// The encoder of AutoencoderKLQwenImage and of Wan2.1's AutoencoderKLWan, for a single frame: from pixels
// to the denoiser's latents.
import { activation } from "../layers/dense/activation.ts";
import { channelRmsNorm } from "../layers/norm/channel_rms_norm.ts";
import { conv2d } from "../layers/convolution/conv2d.ts";
import { GraphBuilder, type OnnxModel, type Value } from "../graph_builder.ts";
import { convolve, midBlock, pointwise, residualBlock, type WanVaeGraph } from "./wan_vae_blocks.ts";
import type { WanVaeDecoderOptions } from "./wan_vae_decoder.ts";

/**
 * Builds the graph sample [1, 3, f h, f w] in -1..1 -> mean and std [1, z_dim, h, w], all float32. The
 * denoiser's latents are `mean + std * noise` with standard normal noise.
 * @throws {CheckpointError} if the config contradicts the weights.
 */
export function wanVaeEncoderGraph(
  { config, weights, name = "vae" }: WanVaeDecoderOptions,
): OnnxModel {
  const graph = new GraphBuilder({ name: `${name}_encoder`, weights, dtype: "float32" });
  const encoder: WanVaeGraph = { graph, config, past: undefined };
  const { latentChannels, numResBlocks, encoderChannels: [first, ...channels] } = config;
  const sample = graph.input("sample", [1, 3, "sample_height", "sample_width"]);
  let x = convolve(encoder, sample, {
    name: "encoder.conv_in",
    inChannels: 3,
    outChannels: first!,
    scale: 1,
  });
  // diffusers counts the layers of all resolutions consecutively.
  let layer = 0;
  for (const [i, outChannels] of channels.entries()) {
    x = graph.scope(`down_block_${i}`, () => {
      let y = x;
      for (let block = 0; block < numResBlocks; block++) {
        const inChannels = block === 0 ? config.encoderChannels[i]! : outChannels;
        const name = `encoder.down_blocks.${layer++}`;
        y = residualBlock(encoder, y, { name, inChannels, outChannels, scale: 1 });
      }
      return i === channels.length - 1 ? y : halve(graph, y, {
        name: `encoder.down_blocks.${layer++}.resample.1`,
        channels: outChannels,
      });
    });
  }
  x = graph.scope("mid_block", () => midBlock(encoder, x, "encoder"));
  const last = channels.at(-1)!;
  const normed = channelRmsNorm(graph, x, { name: "encoder.norm_out", channels: last, trailing: 3 });
  const moments = 2 * latentChannels;
  x = convolve(encoder, activation(graph, normed, "silu"), {
    name: "encoder.conv_out",
    inChannels: last,
    outChannels: moments,
    scale: 1,
  });
  x = pointwise(encoder, x, { name: "quant_conv", inChannels: moments, outChannels: moments });
  const { mean, std } = graph.scope("scale", () => toLatents(encoder, x));
  graph.output("mean", mean, [1, latentChannels, "height", "width"]);
  graph.output("std", std, [1, latentChannels, "height", "width"]);
  return { ...graph.build(), memPattern: false };
}

/** Emits the picture part of WanResample. Its convolution over time leaves out a video's first frame. */
function halve(graph: GraphBuilder, x: Value, { name, channels }: { name: string; channels: number }): Value {
  return conv2d(graph, x, {
    name,
    inChannels: channels,
    outChannels: channels,
    kernelSize: 3,
    stride: 2,
    padding: [0, 0, 1, 1],
  });
}

/** Splits the moments (mean, log variance) and brings them to the denoiser's scale. */
function toLatents({ graph, config }: WanVaeGraph, moments: Value): { mean: Value; std: Value } {
  const perChannel = (values: readonly number[]) => graph.constant(values, [values.length, 1, 1]);
  const [mean, logVariance] = graph.nodes("Split", [moments], {
    outputs: 2,
    attributes: { axis: 1, num_outputs: 2 },
  }) as [Value, Value];
  // diffusers' DiagonalGaussianDistribution clamps here too.
  const clamped = graph.node("Clip", [
    logVariance,
    graph.scalar(-30, "float32"),
    graph.scalar(20, "float32"),
  ]);
  const std = graph.node("Exp", [graph.node("Mul", [clamped, graph.scalar(0.5, "float32")])]);
  const scale = perChannel(config.latentsStd);
  return {
    mean: graph.node("Div", [graph.node("Sub", [mean, perChannel(config.latentsMean)]), scale]),
    std: graph.node("Div", [std, scale]),
  };
}
