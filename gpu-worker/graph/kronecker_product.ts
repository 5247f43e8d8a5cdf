// LoKr's change of a weight (arXiv 2309.14859): the Kronecker product of two small matrices, as a matrix to
// be added, or as a branch that never makes the matrix.
import type { KroneckerFactor } from "../checkpoint/weights.ts";
import type { Emitter } from "./emitter.ts";
import type { Value } from "./value.ts";

export type MatrixShape = readonly [rows: number, columns: number];

/** left (x) right, of which the tensor has `rows` rows from `firstRow` on. */
export interface KroneckerProduct {
  readonly left: Value;
  readonly right: Value;
  readonly leftShape: MatrixShape;
  readonly rightShape: MatrixShape;
  readonly firstRow: number;
  readonly rows: number;
}

export function factorShape(factor: KroneckerFactor): MatrixShape {
  const [rows, columns] = "whole" in factor ? factor.whole.shape : [factor.up.shape[0], factor.down.shape[1]];
  return [rows!, columns!];
}

/** Emits the matrix: [rows, columns]. ONNX Runtime folds it at load. */
export function kroneckerMatrix(graph: Emitter, product: KroneckerProduct): Value {
  const { left, right, leftShape: [a, b], rightShape: [c, d] } = product;
  const blocks = graph.node("Mul", [
    graph.node("Reshape", [left, graph.ints(a, 1, b, 1)]),
    graph.node("Reshape", [right, graph.ints(1, c, 1, d)]),
  ]);
  return ownRows(graph, graph.node("Reshape", [blocks, graph.ints(a * c, b * d)]), { product, axis: 0 });
}

/**
 * Emits x (left (x) right)^T: [..., columns] -> [..., rows], whose leading dimensions are those of `like`.
 * With x as [b, d] matrices X, that is left X right^T.
 */
export function kroneckerBranch(
  graph: Emitter,
  x: Value,
  { product, like }: { product: KroneckerProduct; like: Value },
): Value {
  const { left, right, leftShape: [a, b], rightShape: [c, d] } = product;
  const matrices = graph.node("Reshape", [x, graph.ints(-1, b, d)]);
  const transposed = graph.node("Transpose", [graph.cast(right, x.dtype)]);
  const both = graph.node("MatMul", [
    graph.cast(left, x.dtype),
    graph.node("MatMul", [matrices, transposed]),
  ]);
  const rows = ownRows(graph, graph.node("Reshape", [both, graph.ints(-1, a * c)]), { product, axis: 1 });
  return graph.node("Reshape", [rows, graph.node("Shape", [like])]);
}

function ownRows(
  graph: Emitter,
  value: Value,
  { product, axis }: { product: KroneckerProduct; axis: number },
): Value {
  const { firstRow, rows, leftShape, rightShape } = product;
  if (rows === leftShape[0] * rightShape[0]) return value;
  return graph.node("Slice", [
    value,
    graph.ints(firstRow),
    graph.ints(firstRow + rows),
    graph.ints(axis),
  ]);
}
