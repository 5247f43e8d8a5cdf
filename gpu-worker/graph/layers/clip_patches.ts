// Latents of a clip to tokens and back, each frame in patches of its own: the strided Conv3d of diffusers' video
// transformers with kernels of one frame, and their unpatchify.
import type { GraphBuilder, Value } from "../graph_builder.ts";

export interface ClipPatchesOptions {
  /** Name of the convolution: `<name>.weight` [features, channels, 1, patchHeight, patchWidth] and `<name>.bias`. */
  name: string;
  channels: number;
  patchHeight: number;
  patchWidth: number;
  features: number;
}

export interface ClipPatches {
  /** [batch, frames * rows * columns, features], in the compute type. */
  tokens: Value;
  /** Frames, rows and columns of patches, [3] int64. */
  grid: Value;
}

/**
 * Emits the convolution on `latents` [batch, channels, frames, height, width] float32. Its patches do not overlap, so it
 * is a matrix product, which every device computes in every type.
 */
export function clipPatches(graph: GraphBuilder, latents: Value, options: ClipPatchesOptions): ClipPatches {
  const { name, channels, patchHeight, patchWidth, features } = options;
  const inFeatures = channels * patchHeight * patchWidth;
  const size = graph.node("Shape", [latents], { attributes: { start: 2 }, dtype: "int64" });
  const grid = graph.node("Div", [size, graph.ints(1, patchHeight, patchWidth)]);
  const [frames, rows, columns] = split(graph, grid);
  const shape = [
    graph.ints(0, channels),
    frames,
    rows,
    graph.ints(patchHeight),
    columns,
    graph.ints(patchWidth),
  ];
  const cut = graph.node("Reshape", [latents, join(graph, shape)]);
  const patches = graph.node("Transpose", [cut], { attributes: { perm: [0, 2, 3, 5, 1, 4, 6] } });
  const kernel = graph.weight(`${name}.weight`, [features, channels, 1, patchHeight, patchWidth]);
  const product = graph.node("FusedMatMul", [
    graph.cast(graph.node("Reshape", [patches, graph.ints(0, -1, inFeatures)])),
    graph.node("Reshape", [kernel, graph.ints(features, inFeatures)]),
  ], { domain: "com.microsoft", attributes: { transB: 1 } });
  return { tokens: graph.node("Add", [product, graph.weight(`${name}.bias`, [features])]), grid };
}

/**
 * Emits the inverse order: tokens [batch, frames * rows * columns, patchHeight * patchWidth * channels] with the channel
 * last -> [batch, channels, frames, height, width] float32.
 */
export function clipFromPatches(
  graph: GraphBuilder,
  { tokens, grid }: ClipPatches,
  { channels, patchHeight, patchWidth }: Omit<ClipPatchesOptions, "name" | "features">,
): Value {
  const patch = graph.ints(patchHeight, patchWidth, channels);
  const cut = graph.node("Reshape", [
    graph.cast(tokens, "float32"),
    join(graph, [graph.ints(0), grid, patch]),
  ]);
  const planes = graph.node("Transpose", [cut], { attributes: { perm: [0, 6, 1, 2, 4, 3, 5] } });
  const size = graph.node("Mul", [grid, graph.ints(1, patchHeight, patchWidth)]);
  return graph.node("Reshape", [planes, join(graph, [graph.ints(0, channels), size])]);
}

function split(graph: GraphBuilder, grid: Value): [Value, Value, Value] {
  return graph.nodes("Split", [grid], { attributes: { axis: 0, num_outputs: 3 }, outputs: 3 }) as [
    Value,
    Value,
    Value,
  ];
}

function join(graph: GraphBuilder, parts: readonly Value[]): Value {
  return graph.node("Concat", parts, { attributes: { axis: 0 } });
}
