// The product with a matrix in blocks of 8 or 4 bits. LoRAs are branches beside it,
// which keep their own type.
import type { DType } from "../../../runtime/dtype.ts";
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { kroneckerBranch } from "../../kronecker_product.ts";
import type { BlockMatrix, WeightChange } from "../../weight_changes.ts";
import { wholeRowProduct } from "./whole_row_product.ts";

/**
 * Activations are rounded to 8 bits too, a scale for each block, and multiplied as whole numbers. Other
 * levels widen the weights at every call, which takes longer than float32
 * (docs/decisions/0033-weights-in-blocks.md).
 */
const ACCURACY_LEVEL = 4;

export interface BlockProductOptions {
  inFeatures: number;
  outFeatures: number;
  /** Type of `x` and of the result. */
  dtype: DType;
}

/** Emits x W^T: [..., inFeatures] -> [..., outFeatures]. */
export function blockProduct(
  graph: GraphBuilder,
  x: Value,
  matrix: BlockMatrix & BlockProductOptions,
): Value {
  const { data, scales, quantization: { bits, blockSize, wholeRows }, changes, dtype } = matrix;
  let product = wholeRows ? wholeRowProduct(graph, x, matrix) : graph.node(
    "MatMulNBits",
    [x, data, graph.cast(scales, dtype)],
    {
      domain: "com.microsoft",
      attributes: {
        K: matrix.inFeatures,
        N: matrix.outFeatures,
        bits,
        block_size: blockSize,
        accuracy_level: ACCURACY_LEVEL,
      },
    },
  );
  const times = (left: Value, right: Value, scale: number) =>
    graph.node("FusedMatMul", [left, graph.cast(right, dtype)], {
      domain: "com.microsoft",
      attributes: { transB: 1, alpha: { float: scale } },
    });
  const branchOf = (change: WeightChange, like: Value): Value => {
    const { scale } = change;
    if ("whole" in change) return times(x, change.whole, scale);
    if ("up" in change) return times(times(x, change.down, 1), change.up, scale);
    const branch = kroneckerBranch(graph, x, { product: change.kronecker, like });
    return graph.node("Mul", [branch, graph.scalar(scale, dtype)]);
  };
  for (const change of changes) product = graph.node("Add", [product, branchOf(change, product)]);
  return product;
}
