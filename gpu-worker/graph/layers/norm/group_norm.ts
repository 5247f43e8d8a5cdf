// torch.nn.GroupNorm on [batch, channels, height, width], or on [batch, channels, time, height, width].
import type { GraphBuilder, Value } from "../../graph_builder.ts";

export interface GroupNormOptions {
  /** Name of the module: `<name>.weight` and `<name>.bias`, both [channels]. */
  name: string;
  channels: number;
  groups: number;
  eps: number;
  /** Number of axes after the channels. @default 2 */
  axes?: 2 | 3;
}

/**
 * Emits GroupNorm as an instance norm of [batch, groups, everything else],
 * with a scale and shift per channel.
 * ONNX Runtime has no GroupNormalization kernel on CPU and CUDA; its expansion takes twice as long on the
 * CPU. The norm is computed in float32, as inside PyTorch, and CUDA has no bfloat16 kernel either.
 */
export function groupNorm(graph: GraphBuilder, x: Value, options: GroupNormOptions): Value {
  const { name, channels, groups, eps, axes = 2 } = options;
  const ones = Array<number>(axes).fill(1);
  const dtype = "float32";
  const grouped = graph.node("Reshape", [graph.cast(x, dtype), graph.ints(0, groups, -1)]);
  const fill = (value: number) => graph.constant(Array<number>(groups).fill(value), [groups], dtype);
  const normed = graph.node("InstanceNormalization", [grouped, fill(1), fill(0)], {
    attributes: { epsilon: { float: eps } },
  });
  const shape = graph.node("Shape", [x], { dtype: "int64" });
  const perChannel = (part: "weight" | "bias") =>
    graph.node("Reshape", [
      graph.weight(`${name}.${part}`, [channels], dtype),
      graph.ints(channels, ...ones),
    ]);
  const scaled = graph.node("Mul", [graph.node("Reshape", [normed, shape]), perChannel("weight")]);
  return graph.cast(graph.node("Add", [scaled, perChannel("bias")]), x.dtype);
}
