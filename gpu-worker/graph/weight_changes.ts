// A LoRA's changes of a weight as constants of a graph: float32 matrices in diffusers' order of rows.
import type { Addition, KroneckerFactor, Quantization, WeightEntry } from "../checkpoint/weights.ts";
import type { Emitter } from "./emitter.ts";
import { factorShape, type KroneckerProduct } from "./kronecker_product.ts";
import type { Value } from "./value.ts";

/** scale * up down (DoRA adds the length of each row), scale * whole, or LoKr's scale * left (x) right. */
export type WeightChange =
  & { readonly scale: number }
  & (
    | { readonly up: Value; readonly down: Value; readonly magnitude?: Value }
    | { readonly whole: Value }
    | { readonly kronecker: KroneckerProduct }
  );

/** A matrix in blocks, for MatMulNBits, or in whole rows, for MatMulIntegerToFloat. */
export interface BlockMatrix {
  /** uint8: [rows, blocks, bytes of a block], or [columns, rows] */
  readonly data: Value;
  /** float32: [rows, blocks], or [rows] */
  readonly scales: Value;
  readonly quantization: Quantization;
  /** LoRAs, which blocks cannot hold. */
  readonly changes: readonly WeightChange[];
}

/** A weight of the checkpoint. */
export interface WeightSource {
  name: string;
  entry: WeightEntry;
  /** Emits a tensor of a file as it is stored. */
  external(name: string, entry: WeightEntry): Value;
}

/** Emits the matrices: up [rows, rank], down [rank, columns], whole [rows, columns]. */
export function weightChanges(graph: Emitter, source: WeightSource): WeightChange[] {
  const { name, entry: { shape, additions = [] }, external } = source;
  const rows = shape[0]!;
  const ours = (part: WeightEntry, label: string, { swapped = false }: Addition) => {
    const value = asMatrix(graph, external(`${name} + ${label}`, part), rows);
    if (!swapped) return value;
    const order = Array.from({ length: rows }, (_, row) => (row + (rows >> 1)) % rows);
    return graph.node("Gather", [value, graph.ints(...order)]);
  };
  const factor = (part: KroneckerFactor, label: string): Value => {
    const matrix = (entry: WeightEntry, end: string) =>
      asMatrix(graph, external(`${name} + ${label}${end}`, entry), entry.shape[0]!);
    return "whole" in part
      ? matrix(part.whole, "")
      : graph.node("MatMul", [matrix(part.up, "_a"), matrix(part.down, "_b")]);
  };
  return additions.map((change, i) => {
    const { scale } = change;
    if ("left" in change) {
      const kronecker = {
        left: factor(change.left, `lokr_w1 ${i}`),
        right: factor(change.right, `lokr_w2 ${i}`),
        leftShape: factorShape(change.left),
        rightShape: factorShape(change.right),
        firstRow: change.firstRow,
        rows,
      };
      return { scale, kronecker };
    }
    if ("whole" in change) return { scale, whole: ours(change.whole, `diff ${i}`, change) };
    const narrow = asMatrix(graph, external(`${name} + lora_A ${i}`, change.down), change.down.shape[0]!);
    const missing = columnsOf(shape) - columnsOf(change.down.shape);
    const down = missing === 0 ? narrow : graph.node("Pad", [narrow, graph.ints(0, 0, 0, missing)]);
    const { magnitude } = change;
    return {
      scale,
      down,
      up: ours(change.up, `lora_B ${i}`, change),
      ...magnitude && { magnitude: ours(magnitude, `magnitude ${i}`, change) },
    };
  });
}

function columnsOf([, ...columns]: readonly number[]): number {
  return columns.reduce((product, n) => product * n, 1);
}

/** Emits [rows, everything else] in float32. */
export function asMatrix(graph: Emitter, value: Value, rows: number): Value {
  return graph.node("Reshape", [graph.cast(value, "float32"), graph.ints(rows, -1)]);
}

/**
 * Returns whether a DoRA is added. It scales whole rows of the sum, which a branch beside the blocks cannot
 * do.
 */
export function hasDora({ additions = [] }: WeightEntry): boolean {
  return additions.some((addition) => "magnitude" in addition && addition.magnitude !== undefined);
}
