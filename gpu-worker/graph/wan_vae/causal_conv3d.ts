// A causal convolution over time (diffusers' WanCausalConv3d). Frames lie along the batch dimension, and the
// kernel is a sum of 2-D kernels. On the CPU this takes a quarter to all of the time of ONNX Runtime's 3-D
// kernel, which has no blocked form. It needs no more memory on any device.
import type { GraphBuilder, Value } from "../graph_builder.ts";

export interface CausalConv3dOptions {
  /**
   * Name of the module: `<name>.weight` [outChannels, inChannels, 3, kernelSize,
   * kernelSize] and `<name>.bias`.
   */
  name: string;
  inChannels: number;
  outChannels: number;
  /** Kernel size along height and width. */
  kernelSize: number;
}

const FRAMES = 3;
const TO_THE_END = Number.MAX_SAFE_INTEGER;

/**
 * Emits the convolution with bias. Height and width stay.
 * @param x two past frames, then the frames to convolve, [2 + frames, inChannels, h, w]
 * @returns [frames, outChannels, h, w]
 */
export function causalConv3d(graph: GraphBuilder, x: Value, options: CausalConv3dOptions): Value {
  const { name, inChannels, outChannels, kernelSize } = options;
  const weight = graph.weight(`${name}.weight`, [outChannels, inChannels, FRAMES, kernelSize, kernelSize]);
  const kernels = graph.nodes("Split", [weight], {
    attributes: { axis: 2, num_outputs: FRAMES },
    outputs: FRAMES,
  });
  const pad = (kernelSize - 1) / 2;
  const bias = graph.weight(`${name}.bias`, [outChannels]);
  const terms = kernels.map((kernel, i) => {
    // The first kernel is applied to all but the last two frames, the last kernel to all but the first two.
    const end = i === FRAMES - 1 ? TO_THE_END : i + 1 - FRAMES;
    const frames = graph.node("Slice", [x, graph.ints(i), graph.ints(end), graph.ints(0)]);
    const inputs = [frames, graph.node("Squeeze", [kernel, graph.ints(2)]), ...i === 0 ? [bias] : []];
    return graph.node("Conv", inputs, {
      attributes: { kernel_shape: [kernelSize, kernelSize], pads: [pad, pad, pad, pad] },
    });
  });
  return terms.reduce((sum, term) => graph.node("Add", [sum, term]));
}

/**
 * Emits the convolution of a video's first frame, [1, inChannels, h, w] -> [1, outChannels, h, w]. Its past
 * is zeros, so that only the last of the three kernels matters.
 */
export function firstFrameConv3d(graph: GraphBuilder, x: Value, options: CausalConv3dOptions): Value {
  const { name, inChannels, outChannels, kernelSize } = options;
  const weight = graph.weight(`${name}.weight`, [outChannels, inChannels, FRAMES, kernelSize, kernelSize]);
  const last = graph.node("Gather", [weight, graph.scalar(FRAMES - 1, "int64")], { attributes: { axis: 2 } });
  const pad = (kernelSize - 1) / 2;
  return graph.node("Conv", [x, last, graph.weight(`${name}.bias`, [outChannels])], {
    attributes: { kernel_shape: [kernelSize, kernelSize], pads: [pad, pad, pad, pad] },
  });
}

/**
 * Emits a 1x1x1 convolution with bias for [frames, inChannels, h, w]. Its weight is stored as a 3-D kernel.
 */
export function pointwiseConv3d(
  graph: GraphBuilder,
  x: Value,
  { name, inChannels, outChannels }: Omit<CausalConv3dOptions, "kernelSize">,
): Value {
  const weight = graph.weight(`${name}.weight`, [outChannels, inChannels, 1, 1, 1]);
  const kernel = graph.node("Squeeze", [weight, graph.ints(2)]);
  return graph.node("Conv", [x, kernel, graph.weight(`${name}.bias`, [outChannels])], {
    attributes: { kernel_shape: [1, 1] },
  });
}
