// diffusers' Upsample2D with a convolution: each pixel doubled in both directions, then smoothed.
import type { GraphBuilder, Value } from "../graph_builder.ts";
import { conv2d } from "./conv2d.ts";

export interface Upsample2dOptions {
  /** Name of the convolution. */
  name: string;
  channels: number;
}

/** Emits the upsampling: [batch, channels, h, w] -> [batch, channels, 2 h, 2 w]. */
export function upsample2d(graph: GraphBuilder, x: Value, { name, channels }: Upsample2dOptions): Value {
  const scales = graph.constant([1, 1, 2, 2], [4], "float32");
  const doubled = graph.node("Resize", [x, undefined, scales], {
    attributes: { mode: "nearest", coordinate_transformation_mode: "asymmetric", nearest_mode: "floor" },
  });
  return conv2d(graph, doubled, { name, inChannels: channels, outChannels: channels, kernelSize: 3 });
}
