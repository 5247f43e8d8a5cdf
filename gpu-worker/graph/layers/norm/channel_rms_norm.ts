// The norm over channels of Wan's autoencoder (diffusers' WanRMS_norm): each pixel's vector scaled to one length.
import type { GraphBuilder, Value } from "../../graph_builder.ts";

export interface ChannelRmsNormOptions {
  /** Name of the module, whose `gamma` is [channels, 1, ...]. */
  name: string;
  channels: number;
  /** Dimensions of `gamma` behind the first. */
  trailing: 2 | 3;
}

/** torch's normalize never divides by less. */
const SMALLEST = 1e-12;

/** Emits x / |x| * sqrt(channels) * gamma: [frames, channels, h, w] -> the same, float32. */
export function channelRmsNorm(
  graph: GraphBuilder,
  x: Value,
  { name, channels, trailing }: ChannelRmsNormOptions,
): Value {
  // Several times faster on the CPU than ReduceL2 and LpNormalization, which walk along the channels.
  const squares = graph.node("ReduceSum", [graph.node("Mul", [x, x]), graph.ints(1)], {
    attributes: { keepdims: 1 },
  });
  const length = graph.node("Max", [graph.node("Sqrt", [squares]), graph.scalar(SMALLEST)]);
  const unit = graph.node("Mul", [x, graph.node("Reciprocal", [length])]);
  const gamma = graph.weight(`${name}.gamma`, [channels, ...Array<number>(trailing).fill(1)]);
  const scale = graph.node("Mul", [
    graph.node("Reshape", [gamma, graph.ints(channels, 1, 1)]),
    graph.scalar(Math.sqrt(channels)),
  ]);
  return graph.node("Mul", [unit, scale]);
}
