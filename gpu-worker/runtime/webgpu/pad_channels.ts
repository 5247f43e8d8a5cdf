// Convolutions whose input channels are padded with zeros. For 6, 9, 15 or another multiple of 3, WebGPU's
// kernel loads three channels at once and gives wrong sums (docs/decisions/0035-webgpu.md).
import type { GraphProto, NodeProto } from "../messages/onnx_pb.ts";
import { rewriteNodes } from "./model_editor.ts";

/**
 * Pads the channels of every such convolution to a multiple of 4, for which the kernel loads four at once.
 */
export function padChannels(graph: GraphProto): void {
  const shapes = new Map(graph.initializer.map(({ name, dims }) => [name, dims.map(Number)]));
  const makers = new Map(graph.node.flatMap((node) => node.output.map((name) => [name, node] as const)));
  rewriteNodes(graph, (node, emit) => {
    const shape = isPlanar(node) ? kernelShape(node.input[1]!, { shapes, makers }) : undefined;
    if (shape === undefined || !isWrong(shape)) return false;
    const added = -shape[1]! & 3;
    const pads = emit.ints(0, 0, 0, 0, 0, added, 0, 0);
    const [x, kernel] = node.input.slice(0, 2).map((input) => emit.node("Pad", [input, pads]));
    node.input = [x!, kernel!, ...node.input.slice(2)];
    emit.nodes.push(node);
    return true;
  });
}

/**
 * Whether the node is a convolution over height and width. Single pixels take another kernel, which is right.
 */
function isPlanar({ opType, attribute }: NodeProto): boolean {
  const size = attribute.find(({ name }) => name === "kernel_shape")?.ints ?? [];
  return opType === "Conv" && size.length === 2 && size.some((length) => length > 1n);
}

function isWrong([outChannels, channels]: readonly number[]): boolean {
  return outChannels! % 4 === 0 && channels! % 3 === 0 && channels! % 4 !== 0 && channels! > 3;
}

/**
 * Returns the shape of the stored weight that `name` is made of. What lies between keeps the first two axes.
 */
function kernelShape(
  name: string,
  { shapes, makers }: { shapes: ReadonlyMap<string, number[]>; makers: ReadonlyMap<string, NodeProto> },
): readonly number[] | undefined {
  for (let at: string | undefined = name; at !== undefined; at = makers.get(at)?.input[0]) {
    const shape = shapes.get(at);
    if (shape !== undefined) return shape;
  }
  return undefined;
}
