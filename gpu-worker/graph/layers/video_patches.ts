// Latents of a clip to tokens and back in boxes of time, rows and columns: the strided convolution of diffusers'
// HunyuanVideoPatchEmbed, and the order in which its transformer writes patches.
import type { GraphBuilder, Value } from "../graph_builder.ts";

/** Sizes of a patch in latents. */
export interface PatchShape {
  /** Frames. */
  time: number;
  /** Pixels of a side. */
  side: number;
}

export interface VideoPatchesOptions {
  /** Name of the convolution: `<name>.weight` [features, channels, time, side, side] and `<name>.bias`. */
  name: string;
  channels: number;
  patch: PatchShape;
  features: number;
}

export interface VideoPatches {
  /** [batch, frames * rows * columns, features], in the compute type. */
  tokens: Value;
  /** Patches in time, down and across, [3] int64. */
  grid: Value;
}

/**
 * Emits the convolution on `latents` [batch, channels, frames, height, width] float32. Its patches do not overlap, so it
 * is a matrix product, which every device computes in every type.
 */
export function videoPatches(
  graph: GraphBuilder,
  latents: Value,
  options: VideoPatchesOptions,
): VideoPatches {
  const { name, channels, patch: { time, side }, features } = options;
  const inFeatures = channels * time * side ** 2;
  const sizes = graph.node("Shape", [latents], { attributes: { start: 2 }, dtype: "int64" });
  const grid = graph.node("Div", [sizes, graph.ints(time, side, side)]);
  const [frames, rows, columns] = graph.nodes("Split", [grid], {
    attributes: { axis: 0, num_outputs: 3 },
    outputs: 3,
  });
  const boxes = concat(
    graph,
    [graph.ints(0, channels), frames!, graph.ints(time)],
    [rows!, graph.ints(side)],
    [
      columns!,
      graph.ints(side),
    ],
  );
  const patches = graph.node("Transpose", [graph.node("Reshape", [latents, boxes])], {
    attributes: { perm: [0, 2, 4, 6, 1, 3, 5, 7] },
  });
  const flat = graph.node("Reshape", [patches, graph.ints(0, -1, inFeatures)]);
  const kernel = graph.weight(`${name}.weight`, [features, channels, time, side, side]);
  const product = graph.node("FusedMatMul", [
    graph.cast(flat),
    graph.node("Reshape", [kernel, graph.ints(features, inFeatures)]),
  ], { domain: "com.microsoft", attributes: { transB: 1 } });
  return { tokens: graph.node("Add", [product, graph.weight(`${name}.bias`, [features])]), grid };
}

/**
 * Emits the inverse order: tokens [rows, frames * rows * columns, channels * time * side^2] with the channel first ->
 * [rows, channels, frames, height, width] float32.
 */
export function joinVideoPatches(
  graph: GraphBuilder,
  { tokens, grid }: VideoPatches,
  { channels, patch: { time, side } }: Pick<VideoPatchesOptions, "channels" | "patch">,
): Value {
  const boxes = concat(graph, [graph.ints(0), grid, graph.ints(channels, time, side, side)]);
  const split = graph.node("Reshape", [graph.cast(tokens, "float32"), boxes]);
  const ordered = graph.node("Transpose", [split], { attributes: { perm: [0, 4, 1, 5, 2, 6, 3, 7] } });
  const sizes = graph.node("Mul", [grid, graph.ints(time, side, side)]);
  return graph.node("Reshape", [ordered, concat(graph, [graph.ints(0, channels), sizes])]);
}

function concat(graph: GraphBuilder, ...parts: Value[][]): Value {
  return graph.node("Concat", parts.flat(), { attributes: { axis: 0 } });
}
