// torch.nn.Conv2d with 3x3 kernels, stride 1 and padding 1, by tiles (tile_matrices.ts): a quarter of the
// multiplications, in matrix products. For the CPU in float32: its direct kernel computes at the speed of a
// matrix product, so that the saving is real. GPU libraries choose such kernels themselves.
import type { GraphBuilder, Value } from "../../graph_builder.ts";
import { KERNEL_SUMS, PRODUCTS, type TileMatrices } from "./tile_matrices.ts";

export interface TiledConv2dOptions {
  /** Name of the module: `<name>.weight` [outChannels, inChannels, 3, 3] and `<name>.bias`. */
  name: string;
  inChannels: number;
  outChannels: number;
  /** Of maps of this size. */
  matrices: TileMatrices;
}

/** Emits the convolution: [batch, inChannels, h, w] -> [batch, outChannels, h, w]. */
export function tiledConv2d(graph: GraphBuilder, x: Value, options: TiledConv2dOptions): Value {
  const { name, inChannels, outChannels, matrices } = options;
  const { inputRows, inputColumns, outputRows, outputColumns, tilesDown, tilesAcross } = matrices;
  const shape = (...dims: (number | Value)[]) =>
    graph.node("Concat", dims.map((dim) => typeof dim === "number" ? graph.ints(dim) : dim), {
      attributes: { axis: 0 },
      dtype: "int64",
    });
  const product = (a: Value, b: Value) => graph.node("MatMul", [a, b]);
  const reshape = (value: Value, dims: Value) => graph.node("Reshape", [value, dims]);
  const transpose = (value: Value, perm: number[]) =>
    graph.node("Transpose", [value], { attributes: { perm } });

  const sums = product(inputRows, product(x, inputColumns));
  const apart = reshape(sums, shape(0, 0, PRODUCTS, tilesDown, PRODUCTS, tilesAcross));
  // All tiles of all rows of the batch are columns of one product for each of a tile's 36 places.
  const byPlace = reshape(
    transpose(apart, [2, 4, 1, 0, 3, 5]),
    graph.ints(PRODUCTS ** 2, inChannels, -1),
  );
  const products = product(kernels(graph, options), byPlace);
  const joined = transpose(
    reshape(products, shape(PRODUCTS, PRODUCTS, outChannels, -1, tilesDown, tilesAcross)),
    [3, 2, 0, 4, 1, 5],
  );
  const rows = graph.node("Mul", [tilesDown, graph.ints(PRODUCTS)]);
  const columns = graph.node("Mul", [tilesAcross, graph.ints(PRODUCTS)]);
  const maps = reshape(joined, shape(0, 0, rows, columns));
  const result = product(outputRows, product(maps, outputColumns));
  const bias = graph.node("Reshape", [graph.weight(`${name}.bias`, [outChannels]), graph.ints(-1, 1, 1)]);
  return graph.node("Add", [result, bias]);
}

/**
 * Emits the kernels' sums, [PRODUCTS * PRODUCTS, outChannels, inChannels]. ONNX Runtime folds them at load.
 * It keeps the result of every step until all are folded, so there is one step.
 */
function kernels(graph: GraphBuilder, { name, inChannels, outChannels }: TiledConv2dOptions): Value {
  const weight = graph.weight(`${name}.weight`, [outChannels, inChannels, 3, 3]);
  const sums = KERNEL_SUMS.flatMap((row) =>
    KERNEL_SUMS.flatMap((column) => row.flatMap((a) => column.map((b) => a * b)))
  );
  graph.noteHeldShape(`${name}.weight`, [PRODUCTS ** 2, outChannels, inChannels]);
  return graph.node("Einsum", [graph.constant(sums, [PRODUCTS ** 2, 3, 3]), weight], {
    attributes: { equation: "phw,oihw->poi" },
  });
}
