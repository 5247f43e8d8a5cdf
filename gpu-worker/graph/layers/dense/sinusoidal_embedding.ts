// Embeds numbers as sinusoids of falling frequency (diffusers' Timesteps, get_timestep_embedding).
import type { DType } from "../../../runtime/dtype.ts";
import type { GraphBuilder, Value } from "../../graph_builder.ts";

export interface SinusoidalEmbeddingOptions {
  /** Width of the embedding; even. */
  channels: number;
  /** Whether cosines come before sines. @default true */
  flipSinToCos?: boolean;
  /** Subtracted from the number of frequencies before they are spread. @default 0 */
  freqShift?: number;
  /** Factor on the angles, applied after they are rounded. @default 1 */
  scale?: number;
  /** Type of the result. @default the graph's compute type */
  dtype?: DType;
}

const MAX_PERIOD = 10000;

/** Emits the embedding of `x` [n] float32: [n, channels]. */
export function sinusoidalEmbedding(
  graph: GraphBuilder,
  x: Value,
  { channels, flipSinToCos = true, freqShift = 0, scale = 1, dtype = graph.dtype }:
    SinusoidalEmbeddingOptions,
): Value {
  const count = channels / 2;
  const column = graph.node("Reshape", [x, graph.ints(-1, 1)]);
  const plain = graph.node("Mul", [
    column,
    graph.constant(frequencies(count, freqShift), [1, count], "float32"),
  ]);
  const angles = scale === 1 ? plain : graph.node("Mul", [plain, graph.scalar(scale, "float32")]);
  const waves = [graph.node("Cos", [angles]), graph.node("Sin", [angles])];
  if (!flipSinToCos) waves.reverse();
  return graph.cast(graph.node("Concat", waves, { attributes: { axis: -1 } }), dtype);
}

/**
 * Returns the embedding of one number, cosines first, as a graph's constant. The angle is
 * rounded to float32, like in the graph.
 */
export function sinusoids(x: number, channels: number): number[] {
  const angles = frequencies(channels / 2, 0).map((frequency) => Math.fround(x * frequency));
  return [...angles.map(Math.cos), ...angles.map(Math.sin)];
}

/**
 * Returns MAX_PERIOD^(-i / (count - shift)), rounded to float32 after each operation like PyTorch: at t =
 * 1000 the last bit shows.
 */
function frequencies(count: number, shift: number): number[] {
  const { fround } = Math;
  const slope = fround(-Math.log(MAX_PERIOD));
  return Array.from(
    { length: count },
    (_, i) => fround(Math.exp(fround(fround(slope * i) / (count - shift)))),
  );
}
