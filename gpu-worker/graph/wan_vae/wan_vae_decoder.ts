// The decoder of diffusers' AutoencoderKLWan, in Wan2.1's form and in Wan2.2's, and of
// AutoencoderKLQwenImage. Each call turns one latent frame into frames, and passes the memories of its causal
// convolutions on to the next call. Frames lie along the batch dimension.
import type { WanVaeConfig } from "./wan_vae_config.ts";
import { GraphBuilder, type OnnxModel, type Value } from "../graph_builder.ts";
import { activation } from "../layers/dense/activation.ts";
import { causalConv3d } from "./causal_conv3d.ts";
import { channelRmsNorm } from "../layers/norm/channel_rms_norm.ts";
import { FrameCache, type FrameCacheSlot } from "./frame_cache.ts";
import { upsample2d } from "../layers/convolution/upsample2d.ts";
import { convolve, midBlock, pointwise, residualBlock, type WanVaeGraph } from "./wan_vae_blocks.ts";
import type { Weights } from "../../checkpoint/weights.ts";

export interface WanVaeDecoderOptions {
  config: WanVaeConfig;
  weights: Weights;
  /** Component folder, for names and errors. @default "vae" */
  name?: string;
}

export interface WanVaeDecoder {
  /**
   * Inputs: latent [frames, z_dim, h, w] in the denoiser's scale; first [1] int64 (1 in a video's first call,
   * else 0); a cache_N for each slot. Outputs: sample [out_frames, 3 patch^2, f h, f w] in -1..1, not
   * clamped, with the pixels of a patch as channels; a next_cache_N for each slot. The first call turns one
   * frame into one frame, later calls turn each frame into `temporalScale` frames. All float32.
   */
  graph: OnnxModel;
  /** Memories that the caller keeps between calls: [2, channels, h * scale, w * scale], zeros at first. */
  caches: readonly FrameCacheSlot[];
}

/**
 * Builds the decoder's graph.
 * @throws {CheckpointError} if the config contradicts the weights.
 */
export function wanVaeDecoder(options: WanVaeDecoderOptions): WanVaeDecoder {
  const graph = builder(options);
  const cache = new FrameCache(graph);
  const latent = graph.input("latent", ["frames", options.config.latentChannels, "height_1", "width_1"]);
  const first = graph.input("first", [1], "int64");
  decode({ graph, config: options.config, past: { cache, first } }, latent);
  return { graph: graph.build(), caches: cache.slots };
}

/**
 * Builds the graph that decodes a single frame: latent [1, z_dim, h, w] -> sample [1, 3 patch^2, f h, f w],
 * as above. Without a past it computes a third of the products, and it has no memories.
 * @throws {CheckpointError} if the config contradicts the weights.
 */
export function wanVaePictureGraph(options: WanVaeDecoderOptions): OnnxModel {
  const graph = builder(options);
  const latent = graph.input("latent", [1, options.config.latentChannels, "height_1", "width_1"]);
  decode({ graph, config: options.config, past: undefined }, latent);
  return { ...graph.build(), memPattern: false };
}

/** diffusers' pipelines run this autoencoder in float32 too. */
function builder({ name = "vae", weights }: WanVaeDecoderOptions): GraphBuilder {
  return new GraphBuilder({ name: `${name}_decoder`, weights, dtype: "float32" });
}

/** Emits the decoder and declares its output. */
function decode(decoder: WanVaeGraph, latent: Value): void {
  const { graph, config, past } = decoder;
  const { channels, latentChannels, patchSize } = config;
  const perChannel = (values: readonly number[]) => graph.constant(values, [latentChannels, 1, 1]);
  const own = graph.node("Add", [
    graph.node("Mul", [latent, perChannel(config.latentsStd)]),
    perChannel(config.latentsMean),
  ]);
  let x = pointwise(decoder, own, {
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
  x = graph.scope("mid_block", () => midBlock(decoder, x, "decoder"));
  for (const index of channels.keys()) {
    x = graph.scope(`up_block_${index}`, () => upBlock(decoder, x, index));
  }
  const last = channels.at(-1)!;
  const scale = 2 ** (channels.length - 1);
  const normed = channelRmsNorm(graph, x, { name: "decoder.norm_out", channels: last, trailing: 3 });
  const colours = 3 * patchSize ** 2;
  const outChannels = config.outChannels * patchSize ** 2;
  const all = convolve(decoder, activation(graph, normed, "silu"), {
    name: "decoder.conv_out",
    inChannels: last,
    outChannels,
    scale,
  });
  // Our pictures have no opacity.
  const sample = outChannels === colours
    ? all
    : graph.node("Slice", [all, graph.ints(0), graph.ints(colours), graph.ints(1)]);
  graph.output("sample", sample, [past ? "out_frames" : 1, colours, `height_${scale}`, `width_${scale}`]);
}

/**
 * Emits a WanUpBlock or, in Wan2.2, a WanResidualUpBlock: residual blocks, then (except in the last) twice
 * the size. The former halves the channels; the latter adds its repeated input.
 */
function upBlock(decoder: WanVaeGraph, x: Value, index: number): Value {
  const { graph, config: { channels, numResBlocks, temporalUpsample, isResidual } } = decoder;
  const name = `decoder.up_blocks.${index}`;
  const scale = 2 ** index;
  const outChannels = channels[index]!;
  const from = index === 0 ? channels[0]! : channels[index - 1]! / (isResidual ? 1 : 2);
  const input = x;
  for (let i = 0; i <= numResBlocks; i++) {
    const inChannels = i === 0 ? from : outChannels;
    x = residualBlock(decoder, x, { name: `${name}.resnets.${i}`, inChannels, outChannels, scale });
  }
  if (index === channels.length - 1) return x;
  const doubles = temporalUpsample[index]!;
  const upsampler = `${name}.${isResidual ? "upsampler" : "upsamplers.0"}`;
  if (doubles) x = doubleFrames(decoder, x, { name: `${upsampler}.time_conv`, channels: outChannels, scale });
  x = upsample2d(graph, x, {
    name: `${upsampler}.resample.1`,
    channels: outChannels,
    outChannels: isResidual ? outChannels : outChannels / 2,
  });
  return isResidual
    ? graph.node("Add", [x, repeated(decoder, input, { from, to: outChannels, doubles })])
    : x;
}

/**
 * Emits DupUp3D: the input in twice the size and, if it `doubles`, in twice the frames. A place's values are
 * repeated channels of the input, in the order that diffusers writes them.
 */
function repeated(
  { graph, past }: WanVaeGraph,
  x: Value,
  { from, to, doubles }: { from: number; to: number; doubles: boolean },
): Value {
  const times = doubles ? 2 : 1;
  const repeats = to * times * 4 / from;
  // The places of a channel in time come first in diffusers, its places in the square last.
  const sources = Array.from(
    { length: times },
    (_, time) =>
      Array.from(
        { length: to },
        (_, channel) =>
          Array.from(
            { length: 4 },
            (_, place) => Math.floor(((channel * times + time) * 4 + place) / repeats),
          ),
      ),
  )
    .flat(2);
  const spread = graph.node("Gather", [x, graph.ints(...sources)], { attributes: { axis: 1 } });
  const size = graph.node("Shape", [x], { attributes: { start: 2 }, dtype: "int64" });
  const shape = graph.node("Concat", [graph.ints(-1, 4 * to), size], { attributes: { axis: 0 } });
  const frames = graph.node("DepthToSpace", [graph.node("Reshape", [spread, shape])], {
    attributes: { blocksize: 2, mode: "CRD" },
  });
  if (!doubles) return frames;
  // A video's first frame stays single: the second of its two.
  const start = past?.first ?? graph.ints(1);
  return graph.node("Slice", [frames, start, graph.ints(Number.MAX_SAFE_INTEGER), graph.ints(0)]);
}

/**
 * Emits the time part of WanResample: a convolution that turns each frame into two. The first frame of a
 * video stays single and is not stored in the memory.
 */
function doubleFrames(
  { graph, past }: WanVaeGraph,
  x: Value,
  { name, channels, scale }: { name: string; channels: number; scale: number },
): Value {
  if (past === undefined) return x;
  const isLater = graph.node("Sub", [graph.ints(1), past.first]);
  const withPast = past.cache.prepend(x, { channels, scale }, (last) => {
    const factor = graph.cast(isLater, "float32");
    return graph.node("Mul", [last, factor]);
  });
  const both = causalConv3d(graph, withPast, {
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
