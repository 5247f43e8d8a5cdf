// torch.nn.Conv2d on [batch, channels, height, width].
import type { GraphBuilder, Value } from "../../graph_builder.ts";

export interface Conv2dOptions {
  /**
   * Name of the module: `<name>.weight` [outChannels, inChannels, kernelSize, kernelSize] and `<name>.bias`.
   */
  name: string;
  inChannels: number;
  outChannels: number;
  kernelSize: number;
  /** @default 1 */
  stride?: number;
  /**
   * Zeros to add at top, left, bottom and right. @default padding that keeps height and width at stride 1
   */
  padding?: readonly [number, number, number, number];
  /** @default true */
  bias?: boolean;
}

/** Emits the convolution: [batch, inChannels, h, w] -> [batch, outChannels, h', w']. */
export function conv2d(graph: GraphBuilder, x: Value, options: Conv2dOptions): Value {
  const { name, inChannels, outChannels, kernelSize, stride = 1 } = options;
  const same = (kernelSize - 1) / 2;
  const pads = options.padding ?? [same, same, same, same];
  const weight = graph.weight(`${name}.weight`, [outChannels, inChannels, kernelSize, kernelSize]);
  const bias = options.bias === false ? [] : [graph.weight(`${name}.bias`, [outChannels])];
  return graph.node("Conv", [x, weight, ...bias], {
    attributes: { kernel_shape: [kernelSize, kernelSize], strides: [stride, stride], pads },
  });
}
