// Converts a video's latents to tokens and back in boxes of time, rows and columns: the strided Conv3d of
// diffusers' video transformers, and the orders in which they write patches.
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { joinSizes } from "../../join_sizes.ts";
import type { GridTokens } from "../head/grid_tokens.ts";

/** Sizes of a patch in latents: frames, rows and columns. */
export interface PatchShape {
  time: number;
  height: number;
  width: number;
}

export interface VideoPatchesOptions {
  /** Name of the convolution: `<name>.weight` [features, channels, time, height, width] and `<name>.bias`. */
  name: string;
  channels: number;
  patch: PatchShape;
  features: number;
}

/**
 * Emits the convolution on `latents` [batch, channels, frames, height, width] float32, in the compute type,
 * on a grid of frames, rows and columns. Patches do not overlap, so it is a matrix product, which every
 * device supports in every type.
 */
export function videoPatches(
  graph: GraphBuilder,
  latents: Value,
  options: VideoPatchesOptions,
): GridTokens {
  const { name, channels, patch: { time, height, width }, features } = options;
  const inFeatures = channels * time * height * width;
  const sizes = graph.node("Shape", [latents], { attributes: { start: 2 }, dtype: "int64" });
  const grid = graph.node("Div", [sizes, graph.ints(time, height, width)]);
  const [frames, rows, columns] = graph.nodes("Split", [grid], {
    attributes: { axis: 0, num_outputs: 3 },
    outputs: 3,
  });
  const boxes = joinSizes(graph, [
    graph.ints(0, channels),
    frames!,
    graph.ints(time),
    rows!,
    graph.ints(height),
    columns!,
    graph.ints(width),
  ]);
  const patches = graph.node("Transpose", [graph.node("Reshape", [latents, boxes])], {
    attributes: { perm: [0, 2, 4, 6, 1, 3, 5, 7] },
  });
  const flat = graph.node("Reshape", [patches, graph.ints(0, -1, inFeatures)]);
  const kernel = graph.weight(`${name}.weight`, [features, channels, time, height, width]);
  const product = graph.node("FusedMatMul", [
    graph.cast(flat),
    graph.node("Reshape", [kernel, graph.ints(features, inFeatures)]),
  ], { domain: "com.microsoft", attributes: { transB: 1 } });
  return { tokens: graph.node("Add", [product, graph.weight(`${name}.bias`, [features])]), grid };
}

export interface JoinVideoPatchesOptions extends Pick<VideoPatchesOptions, "channels" | "patch"> {
  /** Position of the channel among a patch's values. */
  channel: "first" | "last";
}

/**
 * Emits the inverse: tokens [rows, frames * rows * columns, channels * time * height * width] -> [rows,
 * channels, frames, height, width] float32.
 */
export function joinVideoPatches(
  graph: GraphBuilder,
  { tokens, grid }: GridTokens,
  { channels, patch: { time, height, width }, channel }: JoinVideoPatchesOptions,
): Value {
  const { values, perm } = channel === "first"
    ? { values: [channels, time, height, width], perm: [0, 4, 1, 5, 2, 6, 3, 7] }
    : { values: [time, height, width, channels], perm: [0, 7, 1, 4, 2, 5, 3, 6] };
  const boxes = joinSizes(graph, [graph.ints(0), grid, graph.ints(...values)]);
  const split = graph.node("Reshape", [graph.cast(tokens, "float32"), boxes]);
  const ordered = graph.node("Transpose", [split], { attributes: { perm } });
  const sizes = graph.node("Mul", [grid, graph.ints(time, height, width)]);
  return graph.node("Reshape", [ordered, joinSizes(graph, [graph.ints(0, channels), sizes])]);
}
