// How a UNet computes its 3x3 convolutions. On the CPU most of an evaluation's time goes into them, and those
// on the two largest kinds of maps are computed by tiles. Their weights take four times the memory, so
// the others, which have most of the weights and a third of the work, stay direct.
import type { Weights } from "../../checkpoint/weights.ts";
import type { GraphBuilder, Value } from "../../graph/graph_builder.ts";
import { conv2d, type Conv2dOptions } from "../../graph/layers/convolution/conv2d.ts";
import { type TileMatrices, tileMatrices } from "../../graph/layers/convolution/tile_matrices.ts";
import { tiledConv2d } from "../../graph/layers/convolution/tiled_conv2d.ts";
import type { ProviderName } from "../../runtime/provider.ts";

/** Emits a 3x3 convolution that keeps the size of its maps. */
export type Convolve = (x: Value, options: Omit<Conv2dOptions, "kernelSize" | "padding">) => Value;

/** Sizes of maps, from the largest, at which convolutions are computed by tiles. */
const TILED_LEVELS = 2;
/** Least number of channels: below it, the sums of a tile cost more than the multiplications they save. */
const LEAST_CHANNELS = 256;

const CONVOLUTION = /^(down|up)_blocks\.(\d+)\.(?:resnets\.\d+\.conv[12]|(upsamplers)\.0\.conv)\.weight$/;

export interface ConvolutionsOptions {
  weights: Weights;
  /** The device of the graph. @default any */
  provider?: ProviderName | undefined;
}

/** Returns the convolution of a graph. */
export function unetConvolutions(graph: GraphBuilder, { weights, provider }: ConvolutionsOptions): Convolve {
  const levels = provider === "cpu" ? tiledLevels(weights) : undefined;
  const matrices = new Map<number, TileMatrices>();
  return (x, options) => {
    const level = levels?.get(options.name);
    if (level === undefined) return conv2d(graph, x, { ...options, kernelSize: 3 });
    const known = matrices.get(level) ?? tileMatrices(graph, x);
    matrices.set(level, known);
    return tiledConv2d(graph, x, { ...options, matrices: known });
  };
}

/** Returns the convolutions to compute by tiles, with the level of their maps: 0 has the largest. */
function tiledLevels(weights: Weights): Map<string, number> {
  const last = Math.max(
    ...[...weights.keys()].map((name) => Number(/^down_blocks\.(\d+)\./.exec(name)?.[1] ?? 0)),
  );
  const levels = new Map<string, number>();
  for (const [name, { shape: [outChannels = 0, inChannels = 0] }] of weights) {
    const [, way, block, upsampler] = CONVOLUTION.exec(name) ?? [];
    if (way === undefined || Math.min(outChannels, inChannels) < LEAST_CHANNELS) continue;
    const level = way === "down" ? Number(block) : last - Number(block) - (upsampler ? 1 : 0);
    if (level < TILED_LEVELS) levels.set(name.replace(/\.weight$/, ""), level);
  }
  return levels;
}
