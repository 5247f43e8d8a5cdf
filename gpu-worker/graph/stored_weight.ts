// A checkpoint's tensor as a value of a graph: in diffusers' order, with its scale and its LoRAs. Everything
// is computed from constants, which ONNX Runtime folds at load.
import type { WeightEntry } from "../checkpoint/weights.ts";
import { DTYPE_BYTES } from "../runtime/dtype.ts";
import type { Emitter } from "./emitter.ts";
import { kroneckerMatrix } from "./kronecker_product.ts";
import type { Value } from "./value.ts";
import { asMatrix, type WeightChange, weightChanges, type WeightSource } from "./weight_changes.ts";

/** Emits the tensor. With LoRAs it is float32, whatever the types. */
export function storedWeight(graph: Emitter, source: WeightSource): Value {
  const { shape } = source.entry;
  const weight = scaled(graph, source);
  const changes = weightChanges(graph, source);
  if (changes.length === 0) return weight;
  const base = asMatrix(graph, weight, shape[0]!);
  const sum = changes.reduce((sum, change) => changed(graph, change, { sum, base }), base);
  return graph.node("Reshape", [sum, graph.ints(...shape)]);
}

/**
 * Emits the sum with one more change. As in peft, DoRA adds m / |W + scale * B A| * (W + scale * B A) - W,
 * where W is the base.
 */
function changed(graph: Emitter, change: WeightChange, { sum, base }: { sum: Value; base: Value }): Value {
  const { scale } = change;
  if ("whole" in change || "kronecker" in change) {
    const whole = "whole" in change ? change.whole : kroneckerMatrix(graph, change.kronecker);
    return graph.node("Add", [sum, graph.node("Mul", [whole, graph.scalar(scale, "float32")])]);
  }
  const { up, down, magnitude } = change;
  const add = (to: Value) => graph.node("Gemm", [up, down, to], { attributes: { alpha: { float: scale } } });
  if (magnitude === undefined) return add(sum);
  const moved = add(base);
  const length = graph.node("ReduceL2", [moved, graph.ints(1)]);
  const ratio = graph.node("Div", [magnitude, length]);
  return graph.node("Sub", [graph.node("Add", [sum, graph.node("Mul", [moved, ratio])]), base]);
}

/** Emits the tensor with its scale, in float32 if it has one. */
function scaled(graph: Emitter, source: WeightSource): Value {
  const { scale } = source.entry;
  const weight = ordered(graph, source);
  if (scale === undefined) return weight;
  return graph.node("Mul", [graph.cast(weight, "float32"), graph.scalar(scale, "float32")]);
}

/** Emits the tensor in the file's order, in float32 if its rows have scales. */
function inFileOrder(graph: Emitter, { name, entry, external }: WeightSource): Value {
  const value = external(name, entry);
  const { scales, blocks, shape: [rows = 0, ...rest] } = entry;
  // Blocks are decoded with their scales.
  if (scales === undefined || blocks !== undefined) return value;
  const { tensor, firstRow } = scales;
  const bytes = DTYPE_BYTES[tensor.dtype];
  const factors = external(`${name} row scales`, {
    ...tensor,
    shape: [rows, ...rest.map(() => 1)],
    offset: tensor.offset + firstRow * bytes,
    byteLength: rows * bytes,
  });
  return graph.node("Mul", [graph.cast(value, "float32"), graph.cast(factors, "float32")]);
}

/** Emits the tensor in diffusers' order. */
function ordered(graph: Emitter, { name, entry, external }: WeightSource): Value {
  const { order, shape } = entry;
  if (order === undefined) return inFileOrder(graph, { name, entry, external });
  const [rows = 0, columns = 0] = shape;
  if (order === "zeros") return graph.node("ConstantOfShape", [graph.ints(rows)], { dtype: "float32" });
  if (order === "identity") {
    const zeros = graph.node("ConstantOfShape", [graph.ints(rows, columns)], { dtype: "float32" });
    return graph.node("EyeLike", [zeros]);
  }
  // No operator here takes fp8.
  const movable = (entry: WeightEntry) => {
    const value = inFileOrder(graph, { name, entry, external });
    return value.dtype.startsWith("float8") ? graph.cast(value) : value;
  };
  if (order === "transposed") {
    const stored = movable({ ...entry, shape: [columns, rows] });
    return graph.node("Transpose", [stored], { attributes: { perm: [1, 0] } });
  }
  const stored = movable(entry);
  if (order === "paired") {
    const pairs = graph.node("Reshape", [stored, graph.ints(-1, (entry.headRows ?? rows) / 2, 2, columns)]);
    const split = graph.node("Transpose", [pairs], { attributes: { perm: [0, 2, 1, 3] } });
    return graph.node("Reshape", [split, graph.ints(rows, columns)]);
  }
  const halves = graph.nodes("Split", [stored], { outputs: 2, attributes: { axis: 0, num_outputs: 2 } });
  return graph.node("Concat", halves.reverse(), { attributes: { axis: 0 } });
}
