// The decoder of diffusers' AutoencoderKLWan. Each call turns one latent frame into frames, and passes the
// memories of its causal convolutions on to the next call. Frames lie along the batch dimension.
import { type AutoencoderKLWanConfig, parseAutoencoderKLWanConfig } from "./wan_vae_config.ts";
import { GraphBuilder, type OnnxModel, type Value } from "../../graph/graph_builder.ts";
import { activation } from "../../graph/layers/dense/activation.ts";
import { attention } from "../../graph/layers/attention/attention.ts";
import { causalConv3d, pointwiseConv3d } from "./causal_conv3d.ts";
import { channelRmsNorm } from "../../graph/layers/norm/channel_rms_norm.ts";
import { conv2d } from "../../graph/layers/convolution/conv2d.ts";
import { FrameCache, type FrameCacheSlot } from "./frame_cache.ts";
import { upsample2d } from "../../graph/layers/convolution/upsample2d.ts";
import type { Weights } from "../../checkpoint/weights.ts";

export interface AutoencoderKLWanDecoderOptions {
  /** The component's parsed config.json. */
  config: unknown;
  weights: Weights;
  /** Component folder, for names and errors. @default "vae" */
  name?: string;
}

export interface AutoencoderKLWanDecoder {
  /**
   * Inputs: latent [frames, z_dim, h, w] in the denoiser's scale; first [1] int64 (1 in a video's first call,
   * else 0); a cache_N for each slot. Outputs: sample [out_frames, 3, f h, f w] in -1..1, not clamped; a
   * next_cache_N for each slot. The first call turns one frame into one frame, later calls turn each frame
   * into `temporalScale` frames. All float32.
   */
  graph: OnnxModel;
  /** Memories that the caller keeps between calls: [2, channels, h * scale, w * scale], zeros at first. */
  caches: readonly FrameCacheSlot[];
}

/**
 * Builds the decoder's graph.
 * @throws {CheckpointError} if the config asks for something unsupported, or contradicts the weights.
 */
export function autoencoderKLWanDecoder(options: AutoencoderKLWanDecoderOptions): AutoencoderKLWanDecoder {
  const { weights, name = "vae" } = options;
  const config = parseAutoencoderKLWanConfig(options.config, `${name}/config.json`);
  const { channels, latentChannels } = config;
  // diffusers' pipelines run this autoencoder in float32 too.
  const graph = new GraphBuilder({ name: `${name}_decoder`, weights, dtype: "float32" });
  const decoder: Decoder = { graph, cache: new FrameCache(graph), config, first: undefined };

  const latent = graph.input("latent", ["frames", latentChannels, "height_1", "width_1"]);
  decoder.first = graph.input("first", [1], "int64");
  const perChannel = (values: readonly number[]) => graph.constant(values, [latentChannels, 1, 1]);
  const own = graph.node("Add", [
    graph.node("Mul", [latent, perChannel(config.latentsStd)]),
    perChannel(config.latentsMean),
  ]);
  let x = pointwiseConv3d(graph, own, {
    name: "post_quant_conv",
    inChannels: latentChannels,
    outChannels: latentChannels,
  });
  x = convolve(decoder, x, {
    name: "decoder.conv_in",
    inChannels: latentChannels,
    outChannels: channels[0]!,
    scale: 1,
  });
  x = graph.scope("mid_block", () => midBlock(decoder, x));
  for (const index of channels.keys()) {
    x = graph.scope(`up_block_${index}`, () => upBlock(decoder, x, index));
  }
  const last = channels.at(-1)!;
  const scale = 2 ** (channels.length - 1);
  const normed = channelRmsNorm(graph, x, { name: "decoder.norm_out", channels: last, trailing: 3 });
  const sample = convolve(decoder, activation(graph, normed, "silu"), {
    name: "decoder.conv_out",
    inChannels: last,
    outChannels: 3,
    scale,
  });
  graph.output("sample", sample, ["out_frames", 3, `height_${scale}`, `width_${scale}`]);
  return { graph: graph.build(), caches: decoder.cache.slots };
}

interface Decoder {
  graph: GraphBuilder;
  cache: FrameCache;
  config: AutoencoderKLWanConfig;
  /** [1] int64 */
  first: Value | undefined;
}

interface StageOptions {
  name: string;
  inChannels: number;
  outChannels: number;
  /** Height and width in latent pixels. */
  scale: number;
}

/** Emits a 3x3x3 convolution with its memory. */
function convolve({ graph, cache }: Decoder, x: Value, options: StageOptions): Value {
  const { inChannels: channels, scale } = options;
  return causalConv3d(graph, cache.prepend(x, { channels, scale }), { ...options, kernelSize: 3 });
}

/** WanResidualBlock */
function residualBlock(decoder: Decoder, x: Value, options: StageOptions): Value {
  const { graph } = decoder;
  const { name, inChannels, outChannels, scale } = options;
  const half = (x: Value, part: 1 | 2, from: number) => {
    const normed = channelRmsNorm(graph, x, { name: `${name}.norm${part}`, channels: from, trailing: 3 });
    return convolve(decoder, activation(graph, normed, "silu"), {
      name: `${name}.conv${part}`,
      inChannels: from,
      outChannels,
      scale,
    });
  };
  const residual = half(half(x, 1, inChannels), 2, outChannels);
  const shortcut = inChannels === outChannels
    ? x
    : pointwiseConv3d(graph, x, { name: `${name}.conv_shortcut`, inChannels, outChannels });
  return graph.node("Add", [residual, shortcut]);
}

function midBlock(decoder: Decoder, x: Value): Value {
  const name = "decoder.mid_block";
  const [channels] = decoder.config.channels as [number];
  const same = { inChannels: channels, outChannels: channels, scale: 1 };
  x = residualBlock(decoder, x, { name: `${name}.resnets.0`, ...same });
  x = frameAttention(decoder.graph, x, { name: `${name}.attentions.0`, channels });
  return residualBlock(decoder, x, { name: `${name}.resnets.1`, ...same });
}

/** Emits a WanUpBlock: residual blocks, then (except in the last) twice the size with half the channels. */
function upBlock(decoder: Decoder, x: Value, index: number): Value {
  const { graph, config: { channels, numResBlocks, temporalUpsample } } = decoder;
  const name = `decoder.up_blocks.${index}`;
  const scale = 2 ** index;
  const outChannels = channels[index]!;
  let inChannels = index === 0 ? channels[0]! : channels[index - 1]! / 2;
  for (let i = 0; i <= numResBlocks; i++) {
    x = residualBlock(decoder, x, { name: `${name}.resnets.${i}`, inChannels, outChannels, scale });
    inChannels = outChannels;
  }
  if (index === channels.length - 1) return x;
  if (temporalUpsample[index]) {
    x = doubleFrames(decoder, x, { name: `${name}.upsamplers.0.time_conv`, channels: outChannels, scale });
  }
  return upsample2d(graph, x, {
    name: `${name}.upsamplers.0.resample.1`,
    channels: outChannels,
    outChannels: outChannels / 2,
  });
}

/**
 * Emits the time part of WanResample: a convolution that turns each frame into two. The first frame of a
 * video stays single and is not stored in the memory.
 */
function doubleFrames(
  { graph, cache, first }: Decoder,
  x: Value,
  { name, channels, scale }: { name: string; channels: number; scale: number },
): Value {
  const isLater = graph.node("Sub", [graph.ints(1), first!]);
  const past = cache.prepend(x, { channels, scale }, (last) => {
    const factor = graph.cast(isLater, "float32");
    return graph.node("Mul", [last, factor]);
  });
  const both = causalConv3d(graph, past, {
    name,
    inChannels: channels,
    outChannels: 2 * channels,
    kernelSize: 1,
  });
  const size = graph.node("Shape", [x], { attributes: { start: 2 }, dtype: "int64" });
  const shape = graph.node("Concat", [graph.ints(-1, channels), size], { attributes: { axis: 0 } });
  const doubled = graph.node("Reshape", [both, shape]);
  // Concatenate the original and the doubled frames: the first call returns the
  // former, later calls the latter.
  const all = graph.node("Concat", [x, doubled], { attributes: { axis: 0 } });
  const frames = graph.node("Shape", [x], { attributes: { start: 0, end: 1 }, dtype: "int64" });
  const start = graph.node("Mul", [frames, isLater]);
  const end = graph.node("Add", [
    frames,
    graph.node("Mul", [start, graph.ints(2)]),
  ]);
  return graph.node("Slice", [all, start, end, graph.ints(0)]);
}

/** Emits a WanAttentionBlock: attention among the pixels of each frame. */
function frameAttention(
  graph: GraphBuilder,
  x: Value,
  { name, channels }: { name: string; channels: number },
): Value {
  const normed = channelRmsNorm(graph, x, { name: `${name}.norm`, channels, trailing: 2 });
  const project = (x: Value, part: string, outChannels: number) =>
    conv2d(graph, x, { name: `${name}.${part}`, inChannels: channels, outChannels, kernelSize: 1 });
  const tokens = graph.node("Transpose", [
    graph.node("Reshape", [project(normed, "to_qkv", 3 * channels), graph.ints(0, 3 * channels, -1)]),
  ], { attributes: { perm: [0, 2, 1] } });
  const [query, key, value] = graph.nodes("Split", [tokens], {
    attributes: { axis: 2, num_outputs: 3 },
    outputs: 3,
  }) as [Value, Value, Value];
  const attended = attention(graph, { query, key, value }, { heads: 1 });
  const planes = graph.node("Transpose", [attended], { attributes: { perm: [0, 2, 1] } });
  const shape = graph.node("Shape", [x], { dtype: "int64" });
  return graph.node("Add", [project(graph.node("Reshape", [planes, shape]), "proj", channels), x]);
}
