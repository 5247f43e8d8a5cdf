// Blocks that the encoder of a frame and the decoder of videos share (AutoencoderKLHunyuanVideo).
import { VAE_EPS } from "../../graph/autoencoder_kl/autoencoder_kl_config.ts";
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";
import { activation } from "../../graph/layers/dense/activation.ts";
import { groupNorm } from "../../graph/layers/norm/group_norm.ts";
import type { AutoencoderKLHunyuanVideoConfig } from "./hunyuan_video_vae_config.ts";

export interface BlockKind {
  config: AutoencoderKLHunyuanVideoConfig;
  /** Axes behind the channels: rows and columns of a frame, or time before them. */
  axes: 2 | 3;
  /** Emits HunyuanVideoCausalConv3d. */
  convolve(
    graph: GraphBuilder,
    x: Value,
    options: { name: string; inChannels: number; outChannels: number; kernelSize?: 1 | 3 },
  ): Value;
}

export function vaeNorm(
  graph: GraphBuilder,
  x: Value,
  { name, channels, config, axes }: Pick<BlockKind, "config" | "axes"> & { name: string; channels: number },
): Value {
  return groupNorm(graph, x, { name, channels, groups: config.norm_num_groups, eps: VAE_EPS, axes });
}

/** Emits x + conv(act(norm(conv(act(norm(x)))))). */
export function vaeResnet(
  graph: GraphBuilder,
  x: Value,
  options: BlockKind & { name: string; inChannels: number; outChannels: number },
): Value {
  const { name, inChannels, outChannels, config, convolve } = options;
  const half = (input: Value, part: 1 | 2, channels: number) => {
    const normed = vaeNorm(graph, input, { ...options, name: `${name}.norm${part}`, channels });
    return convolve(graph, activation(graph, normed, config.act_fn), {
      name: `${name}.conv${part}`,
      inChannels: channels,
      outChannels,
    });
  };
  const residual = half(half(x, 1, inChannels), 2, outChannels);
  const shortcut = inChannels === outChannels
    ? x
    : convolve(graph, x, { name: `${name}.conv_shortcut`, inChannels, outChannels, kernelSize: 1 });
  return graph.node("Add", [residual, shortcut]);
}

/** Emits the two blocks of the lowest resolution. @param attend emits the attention between them */
export function vaeMiddle(
  graph: GraphBuilder,
  x: Value,
  { attend, channels, ...options }: BlockKind & {
    name: string;
    channels: number;
    attend: (x: Value, options: { name: string; channels: number; groups: number; eps: number }) => Value;
  },
): Value {
  const { name, config } = options;
  const block = (input: Value, i: number) =>
    vaeResnet(graph, input, {
      ...options,
      name: `${name}.resnets.${i}`,
      inChannels: channels,
      outChannels: channels,
    });
  const first = block(x, 0);
  if (!config.mid_block_add_attention) return block(first, 1);
  const groups = config.norm_num_groups;
  return block(attend(first, { name: `${name}.attentions.0`, channels, groups, eps: VAE_EPS }), 1);
}
