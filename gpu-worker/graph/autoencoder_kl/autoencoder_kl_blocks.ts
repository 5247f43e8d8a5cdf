// The parts that AutoencoderKL's decoder and encoder share: a middle of
// resnets around attention, and the end.
import { type AutoencoderKLConfig, VAE_EPS } from "./autoencoder_kl_config.ts";
import type { GraphBuilder, Value } from "../graph_builder.ts";
import { activation } from "../layers/dense/activation.ts";
import { conv2d } from "../layers/convolution/conv2d.ts";
import { groupNorm } from "../layers/norm/group_norm.ts";
import { resnetStage } from "../layers/convolution/resnet_stage.ts";

/** Emits `part`.mid_block: [batch, channels, h, w] -> the same. */
export function midBlock(
  graph: GraphBuilder,
  x: Value,
  { part, config }: { part: "decoder" | "encoder"; config: AutoencoderKLConfig },
): Value {
  const channels = config.block_out_channels.at(-1)!;
  return graph.scope("mid_block", () =>
    resnetStage(graph, x, {
      name: `${part}.mid_block`,
      inChannels: channels,
      outChannels: channels,
      resnets: 2,
      attentions: config.mid_block_add_attention ? 1 : 0,
      act: config.act_fn,
      groups: config.norm_num_groups,
      eps: VAE_EPS,
    }));
}

export interface OutputConvolutionOptions {
  part: "decoder" | "encoder";
  config: AutoencoderKLConfig;
  inChannels: number;
  outChannels: number;
}

/** Emits `part`.conv_norm_out and conv_out: [batch, inChannels, h, w] -> [batch, outChannels, h, w]. */
export function outputConvolution(
  graph: GraphBuilder,
  x: Value,
  { part, config: { norm_num_groups: groups }, inChannels, outChannels }: OutputConvolutionOptions,
): Value {
  const normed = groupNorm(graph, x, {
    name: `${part}.conv_norm_out`,
    channels: inChannels,
    groups,
    eps: VAE_EPS,
  });
  // diffusers always uses SiLU here and ignores act_fn.
  const activated = activation(graph, normed, "silu");
  return conv2d(graph, activated, { name: `${part}.conv_out`, inChannels, outChannels, kernelSize: 3 });
}
