// Decides which matrices linear layers hold in blocks, and in which.
import type { DType } from "../../runtime/dtype.ts";
import type { Quantization, WeightEntry } from "../weight_entry.ts";
import { exactQuantization } from "./repack_blocks.ts";
import { rowsOf } from "./read_rows.ts";

/**
 * How linear layers hold their weights. "as-stored" keeps the file's values, and its blocks if ONNX Runtime
 * has such; "int8" and "int4" round all others to 8 or 4 bits.
 */
export type HeldWeights = "as-stored" | "int8" | "int4";

/** Measured in docs/decisions/0033-weights-in-blocks.md. */
const BLOCK_SIZE = { int8: 128, int4: 32 };
/**
 * Block of weights that a file holds in blocks of 16 or 32 already: a longer one would add to their error.
 */
const BLOCK_SIZE_OF_BLOCKS = 32;
/** Smallest block of MatMulNBits. */
const LEAST_BLOCK_SIZE = 16;
/** Longest row whose sum of products of unsigned 8-bit numbers fits 32 bits. */
const LONGEST_WHOLE_ROW = 2 ** 15;

const FLOATS: readonly DType[] = [
  "float32",
  "float16",
  "bfloat16",
  "float64",
  "float8_e4m3fn",
  "float8_e5m2",
];

export interface QuantizationOptions {
  /**
   * Whether int8 has one scale a row, for MatMulIntegerToFloat. Only the CPU provider has it.
   * @default false
   */
  wholeRows?: boolean;
}

/** Returns the quantization of a tensor, or undefined if it stays as stored. */
export function quantizationOf(
  entry: WeightEntry,
  held: HeldWeights,
  { wholeRows = false }: QuantizationOptions = {},
): Quantization | undefined {
  if (entry.shape.length !== 2) return undefined;
  const exact = exactQuantizationOf(entry, wholeRows);
  if (held === "as-stored") return exact;
  const bits = held === "int8" ? 8 : 4;
  if (exact !== undefined && exact.bits <= bits) return exact;
  const { columns } = rowsOf(entry);
  const isWhole = wholeRows && bits === 8 && entry.blocks === undefined &&
    columns % LEAST_BLOCK_SIZE === 0 && columns <= LONGEST_WHOLE_ROW;
  let blockSize = isWhole ? columns : BLOCK_SIZE[held];
  if (entry.blocks !== undefined) blockSize = Math.min(blockSize, BLOCK_SIZE_OF_BLOCKS);
  while (columns % blockSize !== 0 && blockSize > LEAST_BLOCK_SIZE) blockSize /= 2;
  const quantization: Quantization = { bits, blockSize, ...isWhole && { wholeRows } };
  return isBlockMatrix(entry, quantization) ? quantization : undefined;
}

/** Returns the quantization that holds the file's blocks without a loss, if there is one. */
function exactQuantizationOf(entry: WeightEntry, wholeRows: boolean): Quantization | undefined {
  const exact = entry.blocks && exactQuantization(entry.blocks);
  if (entry.blocks !== "INT8" || exact === undefined) return exact;
  // All blocks of a row have its scale, so that the longest are the smallest.
  const { columns } = rowsOf(entry);
  if (columns % LEAST_BLOCK_SIZE !== 0) return undefined;
  if (wholeRows && columns <= LONGEST_WHOLE_ROW) return { bits: 8, blockSize: columns, wholeRows };
  let blockSize = BLOCK_SIZE.int8;
  while (columns % blockSize !== 0) blockSize /= 2;
  return { bits: 8, blockSize };
}

/** Returns whether a tensor can be held in such blocks: floats whose rows are whole blocks. */
export function isBlockMatrix(entry: WeightEntry, { blockSize }: Quantization): boolean {
  const { columns } = rowsOf(entry);
  return entry.shape.length === 2 && columns > 0 && columns % blockSize === 0 &&
    ["swapped", "paired", undefined].includes(entry.order) && FLOATS.includes(entry.dtype);
}
