// diffusers' ResnetBlock2D: without time embedding in autoencoders, with one in UNets.
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { activation, type ActivationName } from "../dense/activation.ts";
import { conv2d, type Conv2dOptions } from "./conv2d.ts";
import { groupNorm } from "../norm/group_norm.ts";
import { linear } from "../dense/linear.ts";

export interface ResnetBlockOptions {
  name: string;
  inChannels: number;
  outChannels: number;
  /** Groups of both norms. */
  groups: number;
  eps: number;
  act: ActivationName;
  time?: ResnetTime;
  /** Divisor of the sum of shortcut and residual. @default 1 */
  outputScaleFactor?: number;
  /** Emits the 3x3 convolutions. @default conv2d */
  convolve?: (x: Value, options: Pick<Conv2dOptions, "name" | "inChannels" | "outChannels">) => Value;
}

/** The time conditioning of a resnet, by a learnt map of `embedding`. */
export interface ResnetTime {
  /**
   * The activated time embedding, [batch, features]. It is the same for all blocks, so it is activated once.
   */
  embedding: Value;
  features: number;
  /** "default" adds the map before the second norm. "scale_shift" scales and shifts the norm's output. */
  scaleShift: "default" | "scale_shift";
}

/** Emits x + conv(act(norm(conv(act(norm(x)))))): [batch, inChannels, h, w] -> [batch, outChannels, h, w]. */
export function resnetBlock(graph: GraphBuilder, x: Value, options: ResnetBlockOptions): Value {
  const { name, inChannels, outChannels, groups, eps, act, time, outputScaleFactor = 1 } = options;
  const { convolve = (x, options) => conv2d(graph, x, { ...options, kernelSize: 3 }) } = options;
  const norm = (input: Value, part: 1 | 2, channels: number) =>
    groupNorm(graph, input, { name: `${name}.norm${part}`, channels, groups, eps });
  const activated = (input: Value, part: 1 | 2, channels: number) =>
    convolve(activation(graph, input, act), {
      name: `${name}.conv${part}`,
      inChannels: channels,
      outChannels,
    });

  const hidden = activated(norm(x, 1, inChannels), 1, inChannels);
  const normed = time === undefined
    ? norm(hidden, 2, outChannels)
    : normInTime(graph, hidden, { name, outChannels, time, norm: (input) => norm(input, 2, outChannels) });
  const residual = activated(normed, 2, outChannels);
  const shortcut = inChannels === outChannels
    ? x
    : conv2d(graph, x, { name: `${name}.conv_shortcut`, inChannels, outChannels, kernelSize: 1 });
  const sum = graph.node("Add", [shortcut, residual]);
  return outputScaleFactor === 1 ? sum : graph.node("Div", [sum, graph.scalar(outputScaleFactor)]);
}

/** Emits the second norm, with the time conditioning before or after it. */
function normInTime(
  graph: GraphBuilder,
  hidden: Value,
  { name, outChannels, time, norm }: {
    name: string;
    outChannels: number;
    time: ResnetTime;
    norm: (input: Value) => Value;
  },
): Value {
  const parts = time.scaleShift === "default" ? 1 : 2;
  const mapped = linear(graph, time.embedding, {
    name: `${name}.time_emb_proj`,
    inFeatures: time.features,
    outFeatures: parts * outChannels,
  });
  const perChannel = graph.node("Reshape", [mapped, graph.ints(0, parts * outChannels, 1, 1)]);
  if (time.scaleShift === "default") return norm(graph.node("Add", [hidden, perChannel]));
  const [scale, shift] = graph.nodes("Split", [perChannel], {
    attributes: { axis: 1, num_outputs: 2 },
    outputs: 2,
  });
  const factor = graph.node("Add", [scale, graph.scalar(1)]);
  return graph.node("Add", [graph.node("Mul", [norm(hidden), factor]), shift]);
}
