// diffusers' Upsample2D with a convolution: each pixel is doubled in both directions, then convolved.
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { conv2d, type Conv2dOptions } from "./conv2d.ts";

export interface Upsample2dOptions {
  /** Name of the convolution. */
  name: string;
  channels: number;
  /** @default channels */
  outChannels?: number;
  /**
   * A feature map [batch, any, h', w'] whose height and width the result gets, like
   * `output_size`. @default doubled
   */
  sizeOf?: Value;
  /** Emits the convolution. @default conv2d */
  convolve?: (x: Value, options: Pick<Conv2dOptions, "name" | "inChannels" | "outChannels">) => Value;
}

/**
 * Emits the upsampling: [batch, channels, h, w] -> [batch, outChannels, 2 h, 2 w] or
 * [batch, outChannels, h', w'].
 */
export function upsample2d(
  graph: GraphBuilder,
  x: Value,
  options: Upsample2dOptions,
): Value {
  const { name, channels, outChannels = channels, sizeOf } = options;
  const { convolve = (x, options) => conv2d(graph, x, { ...options, kernelSize: 3 }) } = options;
  const target = sizeOf === undefined
    ? [undefined, graph.constant([1, 1, 2, 2], [4], "float32")]
    : [undefined, undefined, sizes(graph, x, sizeOf)];
  const larger = graph.node("Resize", [x, ...target], {
    attributes: { mode: "nearest", coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" },
  });
  return convolve(larger, { name, inChannels: channels, outChannels });
}

/** Emits the shape of `x` with the height and width of `sizeOf`. */
function sizes(graph: GraphBuilder, x: Value, sizeOf: Value): Value {
  const shape = (of: Value, start: number, end: number) =>
    graph.node("Shape", [of], { attributes: { start, end }, dtype: "int64" });
  return graph.node("Concat", [shape(x, 0, 2), shape(sizeOf, 2, 4)], { attributes: { axis: 0 } });
}
