// The blocks that the encoder and the decoder of AutoencoderKLWan share.
import { activation } from "../layers/dense/activation.ts";
import { attention } from "../layers/attention/attention.ts";
import { channelRmsNorm } from "../layers/norm/channel_rms_norm.ts";
import { conv2d } from "../layers/convolution/conv2d.ts";
import type { GraphBuilder, Value } from "../graph_builder.ts";
import { causalConv3d, firstFrameConv3d, pointwiseConv3d } from "./causal_conv3d.ts";
import type { FrameCache } from "./frame_cache.ts";
import type { WanVaeConfig } from "./wan_vae_config.ts";

/** A graph of the autoencoder. */
export interface WanVaeGraph {
  graph: GraphBuilder;
  config: WanVaeConfig;
  /** The past of a video; undefined if the graph has a single frame. */
  past: Past | undefined;
}

/** The frames before those of a call. */
export interface Past {
  cache: FrameCache;
  /** [1] int64 */
  first: Value;
}

export interface StageOptions {
  name: string;
  inChannels: number;
  outChannels: number;
  /** Height and width in latent pixels. */
  scale: number;
}

/** Emits a 3x3x3 convolution with its memory. */
export function convolve({ graph, config, past }: WanVaeGraph, x: Value, options: StageOptions): Value {
  const { inChannels: channels, scale } = options;
  if (config.flatKernels) return conv2d(graph, x, { ...options, kernelSize: 3 });
  if (past === undefined) return firstFrameConv3d(graph, x, { ...options, kernelSize: 3 });
  return causalConv3d(graph, past.cache.prepend(x, { channels, scale }), { ...options, kernelSize: 3 });
}

/** Emits a convolution of single pixels. */
export function pointwise(
  { graph, config }: WanVaeGraph,
  x: Value,
  options: { name: string; inChannels: number; outChannels: number },
): Value {
  return config.flatKernels
    ? conv2d(graph, x, { ...options, kernelSize: 1 })
    : pointwiseConv3d(graph, x, options);
}

/** Emits a WanResidualBlock. */
export function residualBlock(part: WanVaeGraph, x: Value, options: StageOptions): Value {
  const { graph } = part;
  const { name, inChannels, outChannels, scale } = options;
  const half = (x: Value, index: 1 | 2, from: number) => {
    const normed = channelRmsNorm(graph, x, { name: `${name}.norm${index}`, channels: from, trailing: 3 });
    return convolve(part, activation(graph, normed, "silu"), {
      name: `${name}.conv${index}`,
      inChannels: from,
      outChannels,
      scale,
    });
  };
  const residual = half(half(x, 1, inChannels), 2, outChannels);
  const shortcut = inChannels === outChannels
    ? x
    : pointwise(part, x, { name: `${name}.conv_shortcut`, inChannels, outChannels });
  return graph.node("Add", [residual, shortcut]);
}

/** Emits the WanMidBlock at the coarsest resolution. */
export function midBlock(part: WanVaeGraph, x: Value, side: "encoder" | "decoder"): Value {
  const name = `${side}.mid_block`;
  const { config } = part;
  const channels = side === "encoder" ? config.encoderChannels.at(-1)! : config.channels[0]!;
  const same = { inChannels: channels, outChannels: channels, scale: 1 };
  x = residualBlock(part, x, { name: `${name}.resnets.0`, ...same });
  x = frameAttention(part.graph, x, { name: `${name}.attentions.0`, channels });
  return residualBlock(part, x, { name: `${name}.resnets.1`, ...same });
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
