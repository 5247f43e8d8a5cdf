// diffusers' ResnetBlock2D without time embedding, as autoencoders use it.
import type { GraphBuilder, Value } from "../graph_builder.ts";
import { activation, type ActivationName } from "./activation.ts";
import { conv2d } from "./conv2d.ts";
import { groupNorm } from "./group_norm.ts";

export interface ResnetBlockOptions {
  name: string;
  inChannels: number;
  outChannels: number;
  /** Of both norms. */
  groups: number;
  eps: number;
  act: ActivationName;
}

/** Emits x + conv(act(norm(conv(act(norm(x)))))): [batch, inChannels, h, w] -> [batch, outChannels, h, w]. */
export function resnetBlock(graph: GraphBuilder, x: Value, options: ResnetBlockOptions): Value {
  const { name, inChannels, outChannels, groups, eps, act } = options;
  const half = (input: Value, part: 1 | 2, channels: number) => {
    const normed = groupNorm(graph, input, { name: `${name}.norm${part}`, channels, groups, eps });
    return conv2d(graph, activation(graph, normed, act), {
      name: `${name}.conv${part}`,
      inChannels: channels,
      outChannels,
      kernelSize: 3,
    });
  };
  const residual = half(half(x, 1, inChannels), 2, outChannels);
  const shortcut = inChannels === outChannels
    ? x
    : conv2d(graph, x, { name: `${name}.conv_shortcut`, inChannels, outChannels, kernelSize: 1 });
  return graph.node("Add", [shortcut, residual]);
}
