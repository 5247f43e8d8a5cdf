// Converts latents to tokens and back in square patches: the strided convolution of
// diffusers' PatchEmbed, and unpatchify.
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import type { GridTokens } from "../head/grid_tokens.ts";

export interface PatchTokensOptions {
  /**
   * Name of the convolution: `<name>.weight` [features, channels, patchSize, patchSize] and `<name>.bias`.
   */
  name: string;
  channels: number;
  patchSize: number;
  features: number;
  /** @default true */
  bias?: boolean;
}

/**
 * Emits the patches of `latents` [batch, channels, height, width] float32 as tokens [batch, tokens,
 * patchSize^2 * channels] float32 with the channel last, on a grid of rows and columns.
 */
export function latentPatches(
  graph: GraphBuilder,
  latents: Value,
  { channels, patchSize }: Pick<PatchTokensOptions, "channels" | "patchSize">,
): GridTokens {
  const patches = graph.node("SpaceToDepth", [latents], { attributes: { blocksize: patchSize } });
  const grid = graph.node("Shape", [patches], { attributes: { start: 2 }, dtype: "int64" });
  const flat = graph.node("Reshape", [patches, graph.ints(0, channels * patchSize ** 2, -1)]);
  return { tokens: graph.node("Transpose", [flat], { attributes: { perm: [0, 2, 1] } }), grid };
}

/**
 * Emits the convolution on `latents` [batch, channels, height, width] float32, in the compute
 * type, on a grid of rows and columns. Patches do not overlap, so it is a matrix product, which
 * every device supports in every type.
 */
export function patchTokens(graph: GraphBuilder, latents: Value, options: PatchTokensOptions): GridTokens {
  const { name, channels, patchSize, features, bias = true } = options;
  const inFeatures = channels * patchSize ** 2;
  const { tokens: rows, grid } = latentPatches(graph, latents, options);
  // SpaceToDepth puts the channel after the position in the patch, the weight puts it before.
  const kernel = graph.weight(`${name}.weight`, [features, channels, patchSize, patchSize]);
  const ordered = graph.node("Transpose", [kernel], { attributes: { perm: [0, 2, 3, 1] } });
  const product = graph.node("FusedMatMul", [
    graph.cast(rows),
    graph.node("Reshape", [ordered, graph.ints(features, inFeatures)]),
  ], { domain: "com.microsoft", attributes: { transB: 1 } });
  if (!bias) return { tokens: product, grid };
  return { tokens: graph.node("Add", [product, graph.weight(`${name}.bias`, [features])]), grid };
}

/**
 * Emits the inverse: tokens [rows, gridRows * gridColumns, patchSize^2 * channels] with the channel last ->
 * [rows, channels, height, width] float32.
 */
export function unpatchify(
  graph: GraphBuilder,
  { tokens, grid }: GridTokens,
  { patchSize, channels }: Pick<PatchTokensOptions, "patchSize" | "channels">,
): Value {
  const depth = patchSize ** 2 * channels;
  const planes = graph.node("Transpose", [graph.cast(tokens, "float32")], {
    attributes: { perm: [0, 2, 1] },
  });
  const shape = graph.node("Concat", [graph.ints(0, depth), grid], { attributes: { axis: 0 } });
  return graph.node("DepthToSpace", [graph.node("Reshape", [planes, shape])], {
    attributes: { blocksize: patchSize, mode: "DCR" },
  });
}
