// The product with a matrix of 8-bit numbers that has one scale a row. Each row of activations is rounded to
// 8 bits too, with a scale of its own, so the sums are of whole numbers and exact.
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import type { BlockMatrix } from "../../weight_changes.ts";

/** Zero of unsigned numbers, and their distance to the smallest and the largest. */
const [ZERO, LARGEST] = [128, 127];
/** Scale of a row of zeros. */
const LEAST_SCALE = 1e-30;

/**
 * Emits x W^T: [..., columns] -> [..., rows], in float32 as the CPU computes.
 * Both factors are unsigned: with signed weights, CPUs without VNNI clip sums of two products to 16 bits.
 */
export function wholeRowProduct(graph: GraphBuilder, x: Value, { data, scales }: BlockMatrix): Value {
  const [last, zero] = [graph.ints(-1), graph.scalar(ZERO, "uint8")];
  const [high, low] = ["ReduceMax", "ReduceMin"].map((op) => graph.node(op, [x, last]));
  const size = graph.node("Max", [high!, graph.node("Neg", [low!]), graph.scalar(LEAST_SCALE)]);
  const scale = graph.node("Div", [size, graph.scalar(LARGEST)]);
  const one = graph.scalar(1);
  const rounded = graph.node("QuantizeLinear", [graph.node("Div", [x, scale]), one, zero], {
    dtype: "uint8",
  });
  const product = graph.node("MatMulIntegerToFloat", [rounded, data, one, scales, zero, zero], {
    domain: "com.microsoft",
    dtype: x.dtype,
  });
  return graph.node("Mul", [product, scale]);
}
