// Sinusoidal embedding of a number and the MLP behind it (diffusers' Timesteps and TimestepEmbedding).
import type { GraphBuilder, Value } from "../graph_builder.ts";
import { activation } from "./activation.ts";
import { linear } from "./linear.ts";

export interface TimestepEmbeddingOptions {
  /** Name of the TimestepEmbedding module, with layers linear_1 and linear_2. */
  name: string;
  /** Width of the sinusoidal embedding; even. */
  channels: number;
  features: number;
}

const MAX_PERIOD = 10000;

/** Emits the embedding of `t` [rows] float32: [rows, features]. Cosines come first (flip_sin_to_cos), no frequency shift. */
export function timestepEmbedding(
  graph: GraphBuilder,
  t: Value,
  { name, channels, features }: TimestepEmbeddingOptions,
): Value {
  const column = graph.node("Reshape", [t, graph.ints(-1, 1)]);
  const angles = graph.node("Mul", [
    column,
    graph.constant(frequencies(channels / 2), [1, channels / 2], "float32"),
  ]);
  const waves = graph.node("Concat", [graph.node("Cos", [angles]), graph.node("Sin", [angles])], {
    attributes: { axis: -1 },
  });
  const hidden = linear(graph, graph.cast(waves), {
    name: `${name}.linear_1`,
    inFeatures: channels,
    outFeatures: features,
  });
  return linear(graph, activation(graph, hidden, "silu"), {
    name: `${name}.linear_2`,
    inFeatures: features,
    outFeatures: features,
  });
}

/** MAX_PERIOD^(-i / count), rounded after each operation as PyTorch does in float32: at t = 1000 the last bit shows. */
function frequencies(count: number): number[] {
  const { fround } = Math;
  const slope = fround(-Math.log(MAX_PERIOD));
  return Array.from({ length: count }, (_, i) => fround(Math.exp(fround(fround(slope * i) / count))));
}
