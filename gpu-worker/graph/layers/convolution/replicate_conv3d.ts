// diffusers' HunyuanVideoCausalConv3d: a convolution over time, rows and columns whose window ends at its own
// frame. Beyond the border, the outermost pixels and the first frame are repeated.
import type { GraphBuilder, Value } from "../../graph_builder.ts";

export interface ReplicateConv3dOptions {
  /** Name of the module: `<name>.conv.weight` [outChannels, inChannels, k, k, k] and `<name>.conv.bias`. */
  name: string;
  inChannels: number;
  outChannels: number;
  kernelSize: 1 | 3;
}

/**
 * Emits the convolution with bias: [batch, inChannels, frames, h, w] -> [batch, outChannels, frames, h, w].
 */
export function replicateConv3d(graph: GraphBuilder, x: Value, options: ReplicateConv3dOptions): Value {
  const { name, inChannels, outChannels, kernelSize: k } = options;
  const weight = graph.weight(`${name}.conv.weight`, [outChannels, inChannels, k, k, k]);
  return graph.node("Conv", [
    k === 1 ? x : pad(graph, x),
    weight,
    graph.weight(`${name}.conv.bias`, [outChannels]),
  ], {
    attributes: { kernel_shape: [k, k, k] },
  });
}

/** Pads for windows of 3: two frames before the video, one pixel on each side. */
function pad(graph: GraphBuilder, x: Value): Value {
  const [begin, end] = [[0, 0, 2, 1, 1], [0, 0, 0, 1, 1]] as const;
  return graph.node("Pad", [x, graph.ints(...begin, ...end)], { attributes: { mode: "edge" } });
}
