// The layers beside convolutions with which AutoencoderKLWan's encoder halves sizes and frame rates.
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import type { GraphBuilder, Value } from "../graph_builder.ts";
import { joinSizes } from "../join_sizes.ts";
import type { WanVaeGraph } from "./wan_vae_blocks.ts";

const FRAMES = 3;
const TO_THE_END = Number.MAX_SAFE_INTEGER;

/** Emits patchify() of diffusers: the pixels of a patch as channels, whose columns come before rows. */
export function intoPatches(graph: GraphBuilder, x: Value, patchSize: number): Value {
  if (patchSize === 1) return x;
  const size = divided(graph, x, patchSize);
  const [rows, columns] = graph.nodes("Split", [size], {
    attributes: { axis: 0, num_outputs: 2 },
    outputs: 2,
  }) as [Value, Value];
  const side = graph.ints(patchSize);
  const boxes = graph.node("Reshape", [x, joinSizes(graph, [graph.ints(-1, 3), rows, side, columns, side])]);
  const ordered = graph.node("Transpose", [boxes], { attributes: { perm: [0, 1, 5, 3, 2, 4] } });
  return graph.node("Reshape", [ordered, joinSizes(graph, [graph.ints(-1, 3 * patchSize ** 2), size])]);
}

/**
 * Emits the time part of WanResample: a convolution with stride 2 over the frames and the last one before
 * them. The first frame of a video stays as it is.
 */
export function halveFrames(
  { graph, past }: WanVaeGraph,
  x: Value,
  { name, channels, scale }: { name: string; channels: number; scale: number },
): Value {
  if (past === undefined) return x;
  const both = past.cache.prepend(x, { channels, scale });
  const isLater = graph.node("Sub", [graph.ints(1), past.first]);
  const frames = graph.node("Shape", [x], { attributes: { start: 0, end: 1 }, dtype: "int64" });
  const weight = graph.weight(`${name}.weight`, [channels, channels, FRAMES, 1, 1]);
  const kernels = graph.nodes("Split", [weight], {
    attributes: { axis: 2, num_outputs: FRAMES },
    outputs: FRAMES,
  });
  const bias = graph.weight(`${name}.bias`, [channels]);
  const terms = kernels.map((kernel, i) => {
    // The kernel reads every second frame of both from 1 + i on. In the first call it reads one frame, in
    // vain.
    const start = graph.node("Mul", [isLater, graph.ints(1 + i)]);
    const length = graph.node("Mul", [isLater, graph.node("Add", [frames, graph.ints(i - 1)])]);
    const end = graph.node("Add", [length, graph.ints(1)]);
    const part = graph.node("Slice", [both, start, end, graph.ints(0), graph.ints(2)]);
    const inputs = [part, graph.node("Squeeze", [kernel, graph.ints(2)]), ...i === 0 ? [bias] : []];
    return graph.node("Conv", inputs, { attributes: { kernel_shape: [1, 1] } });
  });
  const halved = terms.reduce((sum, term) => graph.node("Add", [sum, term]));
  const all = graph.node("Concat", [x, halved], { attributes: { axis: 0 } });
  const start = graph.node("Mul", [frames, isLater]);
  const beyond = graph.node("Mul", [isLater, graph.ints(2 ** 40)]);
  return graph.node("Slice", [all, start, graph.node("Add", [frames, beyond]), graph.ints(0)]);
}

/**
 * Emits AvgDown3D: means over groups of channels, where the places of a box of time, rows and columns count
 * as channels. A video's first frame has zeros before it.
 */
export function averageShortcut(
  { graph, past }: WanVaeGraph,
  x: Value,
  { from, to, time, space }: { from: number; to: number; time: 1 | 2; space: 1 | 2 },
): Value {
  const frames = time === 1 ? x : withZeros(graph, x, past?.first);
  const size = divided(graph, x, space);
  const [rows, columns] = graph.nodes("Split", [size], {
    attributes: { axis: 0, num_outputs: 2 },
    outputs: 2,
  }) as [Value, Value];
  const side = graph.ints(space);
  const boxes = graph.node("Reshape", [
    frames,
    joinSizes(graph, [graph.ints(-1, time, from), rows, side, columns, side]),
  ]);
  // [frames, time, channels, rows, y, columns, x] -> [frames, channels, time, y, x, rows, columns]
  const ordered = graph.node("Transpose", [boxes], { attributes: { perm: [0, 2, 1, 4, 6, 3, 5] } });
  const group = from * time * space ** 2 / to;
  if (!Number.isInteger(group)) {
    throw new CheckpointError(
      `Cannot use the autoencoder as 'dim_mult' must let each shortcut's means be of whole groups, ` +
        `but ${from} channels become ${to}`,
    );
  }
  const groups = graph.node("Reshape", [ordered, joinSizes(graph, [graph.ints(-1, to, group), size])]);
  return graph.node("ReduceMean", [groups, graph.ints(2)], { attributes: { keepdims: 0 } });
}

/** Emits a frame of zeros before a video's first frame, so that the frames are even in number. */
function withZeros(graph: GraphBuilder, x: Value, first: Value | undefined): Value {
  const frame = graph.node("Slice", [x, graph.ints(0), graph.ints(1), graph.ints(0)]);
  const zeros = graph.node("Mul", [frame, graph.scalar(0, "float32")]);
  const all = graph.node("Concat", [zeros, x], { attributes: { axis: 0 } });
  if (first === undefined) return all;
  const start = graph.node("Sub", [graph.ints(1), first]);
  return graph.node("Slice", [all, start, graph.ints(TO_THE_END), graph.ints(0)]);
}

/** Emits height and width divided by `by`, [2] int64. */
function divided(graph: GraphBuilder, x: Value, by: number): Value {
  const size = graph.node("Shape", [x], { attributes: { start: 2 }, dtype: "int64" });
  return by === 1 ? size : graph.node("Div", [size, graph.ints(by)]);
}
