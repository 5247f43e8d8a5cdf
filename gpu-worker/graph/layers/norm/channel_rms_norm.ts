// The norm over channels in Wan's autoencoder (diffusers' WanRMS_norm): scales each
// pixel's vector to the same length.
import type { GraphBuilder, Value } from "../../graph_builder.ts";

export interface ChannelRmsNormOptions {
  /** Name of the module, whose `gamma` is [channels, 1, ...]. */
  name: string;
  channels: number;
  /** Number of dimensions of `gamma` after the first. */
  trailing: 2 | 3;
}

/** Smallest divisor in torch's normalize. */
const SMALLEST = 1e-12;

/** Emits x / |x| * sqrt(channels) * gamma: [frames, channels, h, w] -> the same, float32. */
export function channelRmsNorm(
  graph: GraphBuilder,
  x: Value,
  { name, channels, trailing }: ChannelRmsNormOptions,
): Value {
  // Several times faster on the CPU than ReduceL2 and LpNormalization, which iterate over the channels.
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
