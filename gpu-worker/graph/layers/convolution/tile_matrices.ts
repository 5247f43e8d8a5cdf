// The matrices of Winograd's convolution F(4x4, 3x3) for maps of any size (Lavin and Gray, arXiv 1509.09308).
// Four neighbouring outputs need six inputs. Six sums of the inputs, times six sums of the kernel's three
// numbers, give six products, whose sums are the outputs: 6 multiplications instead of 12, in both
// directions 36 instead of 144.
import type { GraphBuilder, Value } from "../../graph_builder.ts";

/** Outputs of a tile in one direction. */
const TILE = 4;
/** Products of a tile in one direction. */
export const PRODUCTS = 6;

/**
 * Both factors are polynomials, multiplied by their values at these points and at infinity. They give half
 * the rounding error of the usual 0, 1, -1, 2, -2: 1.4e-6 of the result, where a direct sum has 3e-7.
 */
const POINTS = [0, Math.SQRT2, -Math.SQRT2, Math.SQRT1_2, -Math.SQRT1_2];

/** Returns powers of every point, and those at infinity: [PRODUCTS, count]. */
function powers(count: number): number[][] {
  const atInfinity = Array.from({ length: count }, (_, power) => power === count - 1 ? 1 : 0);
  return [...POINTS.map((point) => atInfinity.map((_, power) => point ** power)), atInfinity];
}

/** Sums of a tile's inputs, [PRODUCTS, inputs]: coefficients of the polynomials that are 1 at one point. */
const INPUT_SUMS: readonly number[][] = [
  ...POINTS.map((point) => {
    const others = POINTS.filter((other) => other !== point);
    const scale = others.reduce((product, other) => product * (point - other), 1);
    return [...withRoots(others).map((value) => value / scale), 0];
  }),
  withRoots(POINTS),
];

/** Sums of a kernel's numbers, [PRODUCTS, 3]. */
export const KERNEL_SUMS: readonly number[][] = powers(3);

/** Sums of the products, [PRODUCTS, TILE]. */
const OUTPUT_SUMS: readonly number[][] = powers(TILE);

/** Returns the coefficients of the polynomial with these roots, the constant's first. */
function withRoots(roots: readonly number[]): number[] {
  return roots.reduce<number[]>(
    (polynomial, root) => [0, ...polynomial].map((value, i) => value - root * (polynomial[i] ?? 0)),
    [1],
  );
}

/** The matrices for maps of one size. */
export interface TileMatrices {
  /** [PRODUCTS * tilesDown, height], left of a map. */
  inputRows: Value;
  /** [width, PRODUCTS * tilesAcross], right of a map. */
  inputColumns: Value;
  /** [height, PRODUCTS * tilesDown], left of products. */
  outputRows: Value;
  /** [PRODUCTS * tilesAcross, width], right of products. */
  outputColumns: Value;
  /** Numbers of tiles, int64 [1]. */
  tilesDown: Value;
  tilesAcross: Value;
}

/** Emits the matrices for maps of the size of `x`, [batch, channels, height, width], with padding of 1. */
export function tileMatrices(graph: GraphBuilder, x: Value): TileMatrices {
  const [down, across] = [direction(graph, x, 2), direction(graph, x, 3)];
  return {
    inputRows: down.input("left"),
    inputColumns: across.input("right"),
    outputRows: down.output("left"),
    outputColumns: across.output("right"),
    tilesDown: down.tiles,
    tilesAcross: across.tiles,
  };
}

/** Emits the shared part of both matrices of one direction. */
function direction(graph: GraphBuilder, x: Value, axis: number) {
  const whole = (value: number) => graph.scalar(value, "int64");
  const size = graph.node("Shape", [x], { attributes: { start: axis, end: axis + 1 }, dtype: "int64" });
  const tiles = graph.node("Div", [graph.node("Add", [size, graph.ints(TILE - 1)]), graph.ints(TILE)]);
  const range = (count: Value) =>
    graph.node("Range", [whole(0), graph.node("Squeeze", [count, graph.ints(0)]), whole(1)]);
  const starts = graph.node("Mul", [range(tiles), whole(TILE)]);
  /** The place of every pixel in every tile, [tiles, size]. */
  const places = graph.node("Sub", [range(size), graph.node("Unsqueeze", [starts, graph.ints(1)])]);
  /** Returns the sums of every pixel in every tile, [PRODUCTS, tiles, size]. */
  const spread = (sums: readonly number[][], before: number) => {
    const count = sums[0]!.length;
    // Pixels outside a tile have the place before its first or after its last, where no sum counts them.
    const table = graph.constant(sums.flatMap((row) => [0, ...row, 0]), [PRODUCTS, count + 2], "float32");
    const index = graph.node("Clip", [
      graph.node("Add", [places, whole(1 + before)]),
      whole(0),
      whole(count + 1),
    ]);
    return graph.node("Gather", [table, index], { attributes: { axis: 1 } });
  };
  const matrix = (spread: Value, pixels: "first" | "last") => {
    const ordered = pixels === "last"
      ? spread
      : graph.node("Transpose", [spread], { attributes: { perm: [2, 0, 1] } });
    const dims = pixels === "last" ? [graph.ints(-1), size] : [size, graph.ints(-1)];
    const shape = graph.node("Concat", dims, { attributes: { axis: 0 }, dtype: "int64" });
    return graph.node("Reshape", [ordered, shape]);
  };
  return {
    tiles,
    /** [PRODUCTS * tiles, size] on the left of a map, the reverse on the right. */
    input: (side: "left" | "right") => matrix(spread(INPUT_SUMS, 1), side === "left" ? "last" : "first"),
    /** [size, PRODUCTS * tiles] on the left of products, the reverse on the right. */
    output: (side: "left" | "right") => matrix(spread(OUTPUT_SUMS, 0), side === "left" ? "first" : "last"),
  };
}
