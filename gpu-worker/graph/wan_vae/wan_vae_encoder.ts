// The encoder of AutoencoderKLQwenImage, AutoencoderKLQwenImage21 and AutoencoderKLWan, in Wan2.1's form and
// in Wan2.2's: from pixels to the denoiser's latents. A single frame needs no past. For a video, parts that
// run at different frame rates are graphs of their own: each can stop where its input no longer changes.
import { activation } from "../layers/dense/activation.ts";
import { channelRmsNorm } from "../layers/norm/channel_rms_norm.ts";
import { conv2d } from "../layers/convolution/conv2d.ts";
import { GraphBuilder, type OnnxModel, type Value } from "../graph_builder.ts";
import { averageShortcut, halveFrames, intoPatches } from "./downsample.ts";
import { FrameCache, type FrameCacheSlot } from "./frame_cache.ts";
import { convolve, midBlock, pointwise, residualBlock, type WanVaeGraph } from "./wan_vae_blocks.ts";
import type { WanVaeConfig } from "./wan_vae_config.ts";
import type { WanVaeDecoderOptions } from "./wan_vae_decoder.ts";

/**
 * Builds the graph sample [1, inChannels, f h, f w] in -1..1 -> mean and std [1, z_dim, h, w], all float32.
 * The denoiser's latents are `mean + std * noise` with standard normal noise.
 * @throws {CheckpointError} if the config contradicts the weights.
 */
export function wanVaeEncoderGraph(
  { config, weights, name = "vae" }: WanVaeDecoderOptions,
): OnnxModel {
  const graph = new GraphBuilder({ name: `${name}_encoder`, weights, dtype: "float32" });
  const encoder: WanVaeGraph = { graph, config, past: undefined };
  let x = graph.input("sample", [1, config.inChannels, "sample_height", "sample_width"]);
  x = emitStart(encoder, x);
  for (let level = 0; level < levelsOf(config); level++) x = emitLevel(encoder, x, level);
  const { mean, std } = emitEnd(encoder, x);
  graph.output("mean", mean, [1, config.latentChannels, "height", "width"]);
  graph.output("std", std, [1, config.latentChannels, "height", "width"]);
  return { ...graph.build(), memPattern: false };
}

/** One part of the encoder of a video. */
export interface WanVaeEncoderPart extends OnnxModel {
  /** Memories that the caller keeps between calls: [2, channels, h * scale, w * scale], zeros at first. */
  caches: readonly FrameCacheSlot[];
  /**
   * Calls after which the output no longer changes while the video's frames do not change: its memories then
   * hold the same frame only.
   */
  steadyAfter: number;
}

/**
 * Builds the parts of the encoder, in their order. Inputs of each: frames [frames, channels, height, width],
 * which are the output of the part before it, or pixels in -1..1; first [1] int64 (1 in a video's first call,
 * else 0); a cache_N for each slot. Outputs: frames, from the last part mean [latent_frames, z_dim, h, w] in
 * the denoiser's scale; a next_cache_N for each slot. The first call takes one frame, later calls take
 * `temporalScale` frames. All float32.
 * @throws {CheckpointError} if the config contradicts the weights.
 */
export function wanVaeEncoderParts(
  { config, weights, name = "vae" }: WanVaeDecoderOptions,
): WanVaeEncoderPart[] {
  const levels = levelsOf(config);
  const parts: WanVaeEncoderPart[] = [];
  let [steadyAfter, framesACall] = [1, config.temporalScale];
  for (let level = 0; level < levels;) {
    const [entry, index] = [level, parts.length];
    const graph = new GraphBuilder({ name: `${name}_encoder_${index}`, weights, dtype: "float32" });
    const cache = new FrameCache(graph);
    const dims = entry === 0
      ? ["frames", 3, "sample_height", "sample_width"]
      : ["frames", config.encoderChannels[entry]!, "height_in", "width_in"];
    const input = graph.input("frames", dims);
    const encoder: WanVaeGraph = {
      graph,
      config,
      past: { cache, first: graph.input("first", [1], "int64") },
    };
    let x = entry === 0 ? emitStart(encoder, input) : input;
    let isHalved = false;
    for (; level < levels && !isHalved; level++) {
      x = emitLevel(encoder, x, level);
      isHalved = halvesFrames(config, level);
    }
    if (level === levels && !isHalved) {
      graph.output("mean", emitEnd(encoder, x).mean, [
        "latent_frames",
        config.latentChannels,
        "height",
        "width",
      ]);
    } else {
      graph.output("frames_out", x, [
        "frames_out",
        config.encoderChannels[level]!,
        "height_out",
        "width_out",
      ]);
    }
    // Each memory delays the end of a change by its two frames.
    steadyAfter += Math.ceil(2 * cache.slots.length / framesACall);
    framesACall = Math.max(1, framesACall / 2);
    parts.push({ ...graph.build(), memPattern: false, caches: cache.slots, steadyAfter });
  }
  return parts;
}

function levelsOf({ encoderChannels }: WanVaeConfig): number {
  return encoderChannels.length - 1;
}

/** Whether the frames are halved after a level. No published checkpoint does this after the last. */
function halvesFrames({ temporalUpsample }: WanVaeConfig, level: number): boolean {
  return temporalUpsample.toReversed()[level] ?? false;
}

function emitStart(encoder: WanVaeGraph, pixels: Value): Value {
  const { config: { inChannels, patchSize, encoderChannels, channels } } = encoder;
  return convolve(encoder, intoPatches(encoder.graph, pixels, patchSize), {
    name: "encoder.conv_in",
    inChannels: inChannels * patchSize ** 2,
    outChannels: encoderChannels[0]!,
    scale: 2 ** (channels.length - 1),
  });
}

/**
 * Emits the residual blocks of one resolution and then, except at the last, half the size: a
 * WanResidualDownBlock in Wan2.2.
 */
function emitLevel(encoder: WanVaeGraph, x: Value, level: number): Value {
  const { graph, config } = encoder;
  const { numResBlocks, encoderChannels, isResidual } = config;
  const last = levelsOf(config) - 1;
  const [from, to] = [encoderChannels[level]!, encoderChannels[level + 1]!];
  const scale = 2 ** (last - level);
  // Without shortcuts diffusers counts the layers of all resolutions consecutively.
  const first = level * (numResBlocks + 1);
  const blockName = (block: number) =>
    isResidual ? `encoder.down_blocks.${level}.resnets.${block}` : `encoder.down_blocks.${first + block}`;
  return graph.scope(`down_block_${level}`, () => {
    let y = x;
    for (let block = 0; block < numResBlocks; block++) {
      const inChannels = block === 0 ? from : to;
      y = residualBlock(encoder, y, { name: blockName(block), inChannels, outChannels: to, scale });
    }
    if (level < last) {
      const name = isResidual
        ? `encoder.down_blocks.${level}.downsampler`
        : `encoder.down_blocks.${first + numResBlocks}`;
      y = halve(graph, y, { name: `${name}.resample.1`, channels: to });
      if (halvesFrames(config, level)) {
        y = halveFrames(encoder, y, { name: `${name}.time_conv`, channels: to, scale: scale / 2 });
      }
    }
    if (!isResidual) return y;
    return graph.node("Add", [
      y,
      averageShortcut(encoder, x, {
        from,
        to,
        time: halvesFrames(config, level) ? 2 : 1,
        space: level < last ? 2 : 1,
      }),
    ]);
  });
}

function emitEnd(encoder: WanVaeGraph, x: Value): { mean: Value; std: Value } {
  const { graph, config: { latentChannels, encoderChannels } } = encoder;
  const y = graph.scope("mid_block", () => midBlock(encoder, x, "encoder"));
  const last = encoderChannels.at(-1)!;
  const normed = channelRmsNorm(graph, y, { name: "encoder.norm_out", channels: last, trailing: 3 });
  const moments = 2 * latentChannels;
  const out = convolve(encoder, activation(graph, normed, "silu"), {
    name: "encoder.conv_out",
    inChannels: last,
    outChannels: moments,
    scale: 1,
  });
  const quantized = pointwise(encoder, out, {
    name: "quant_conv",
    inChannels: moments,
    outChannels: moments,
  });
  return graph.scope("scale", () => toLatents(encoder, quantized));
}

/** Emits the picture part of WanResample. */
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
