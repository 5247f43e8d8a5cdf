// Reads rows of a tensor from its file, as float32 or as the file's blocks.
import { DTYPE_BYTES } from "../../runtime/dtype.ts";
import { BLOCK_TYPES, isScaledBlockType } from "../block_types.ts";
import { CheckpointError } from "../checkpoint_error.ts";
import { readAt } from "../read_at.ts";
import type { WeightEntry } from "../weight_entry.ts";
import { dequantizeBlocks } from "./dequantize_blocks.ts";
import { numberTable } from "./number_tables.ts";
import { placeInTiles, tilesOf } from "./scale_tiles.ts";
import { decodeScaledBlocks } from "./scaled_blocks.ts";

/** A range of rows: the first, and the one after the last. */
export interface RowRange {
  from: number;
  to: number;
}

/** Returns the number of a tensor's rows, and of the elements in one. */
export function rowsOf({ shape }: WeightEntry): { rows: number; columns: number } {
  const [rows = 1, ...rest] = shape;
  return { rows, columns: rest.reduce((product, n) => product * n, 1) };
}

/**
 * Returns the number of rows that are whole blocks together. It is 1 unless a file has cut a convolution's
 * numbers into blocks that do not end with its rows (city96's `orig_shape`).
 */
export function rowsOfBlocks(entry: WeightEntry): number {
  if (entry.blocks === undefined) return 1;
  const { elements } = BLOCK_TYPES[entry.blocks];
  const { columns } = rowsOf(entry);
  // A block has a power of two of elements: what it shares with a row is a power of two, too.
  return elements / Math.min(elements, (columns & -columns) || elements);
}

/** Reads the bytes of rows in diffusers' order. `entry` must not be transposed. */
export function readRowBytes(
  file: Deno.FsFile,
  entry: WeightEntry,
  range: RowRange,
): Uint8Array<ArrayBuffer> {
  const rowBytes = entry.byteLength / rowsOf(entry).rows;
  const together = rowsOfBlocks(entry);
  const bytes = new Uint8Array((range.to - range.from) * rowBytes);
  for (const { from, to, source } of runsOf(entry, range)) {
    if (source % together !== 0 || (to - from) % together !== 0) {
      throw new CheckpointError(
        `Cannot use ${entry.path} as blocks of a tensor [${entry.shape}] end after every ${together} rows: ` +
          `${to - from} rows from row ${source} on cannot be read`,
      );
    }
    readAt(file, {
      path: entry.path,
      offset: entry.offset + source * rowBytes,
      bytes: bytes.subarray((from - range.from) * rowBytes, (to - range.from) * rowBytes),
    });
  }
  return bytes;
}

/** Yields the runs of rows that follow each other in the file too, with the file's first row of each. */
function* runsOf(entry: WeightEntry, { from, to }: RowRange): Generator<RowRange & { source: number }> {
  const { rows } = rowsOf(entry);
  if (entry.order === "paired") {
    const { headRows = rows } = entry;
    for (let row = from; row < to; row++) {
      const within = row % headRows;
      const place = within * 2 % headRows + Math.floor(within * 2 / headRows);
      yield { from: row, to: row + 1, source: row - within + place };
    }
    return;
  }
  if (entry.order !== "swapped") return yield { from, to, source: from };
  // Each half of the rows lies where the other one should.
  const half = rows / 2;
  if (from < half) yield { from, to: Math.min(to, half), source: from + half };
  if (to > half) yield { from: Math.max(from, half), to, source: Math.max(from, half) - half };
}

/** Reads rows as float32, multiplied by the tensor's scales. */
export function readRows(file: Deno.FsFile, entry: WeightEntry, range: RowRange): Float32Array<ArrayBuffer> {
  const { blocks, scale = 1, rotation } = entry;
  const { columns } = rowsOf(entry);
  const bytes = readRowBytes(file, entry, range);
  const scales = readRowScales(entry, range);
  let values: Float32Array<ArrayBuffer>;
  if (blocks !== undefined && isScaledBlockType(blocks)) {
    values = decodeScaledBlocks({ bytes, type: blocks, columns, scales, rotation });
  } else {
    values = blocks === undefined ? decode(bytes, entry) : dequantizeBlocks(bytes, blocks);
    for (const [row, scale] of scales?.entries() ?? []) {
      for (let i = row * columns; i < (row + 1) * columns; i++) values[i]! *= scale;
    }
  }
  if (scale !== 1) { for (let i = 0; i < values.length; i++) values[i]! *= scale; }
  return values;
}

/**
 * Reads the scales of rows in diffusers' order, a number for each row or for each block of one. Returns
 * undefined if the tensor has no scales of its own.
 */
export function readRowScales(entry: WeightEntry, range: RowRange): Float32Array | undefined {
  if (entry.scales === undefined) return undefined;
  const { tensor, firstRow, factor = 1 } = entry.scales;
  const { blocks } = entry;
  const isTiled = blocks === "NVFP4" || blocks === "MXFP8";
  const perRow = isTiled ? rowsOf(entry).columns / BLOCK_TYPES[blocks].elements : 1;
  const values = new Float32Array((range.to - range.from) * perRow);
  using file = Deno.openSync(tensor.path);
  for (const { from, to, source } of runsOf(entry, range)) {
    const rows = { from: source + firstRow, to: source + firstRow + to - from };
    const at = (from - range.from) * perRow;
    if (!isTiled) {
      values.set(readRows(file, tensor, rows), at);
      continue;
    }
    const { offset, byteLength } = tilesOf(rows, perRow);
    const bytes = new Uint8Array(byteLength);
    readAt(file, { path: tensor.path, offset: tensor.offset + offset, bytes });
    const table = blocks === "NVFP4" ? numberTable("float8_e4m3fn") : POWERS_OF_TWO;
    for (let row = rows.from, i = at; row < rows.to; row++) {
      for (let block = 0; block < perRow; block++, i++) {
        values[i] = factor * table[bytes[placeInTiles(row, block, perRow) - offset]!]!;
      }
    }
  }
  return values;
}

/** E8M0. ComfyUI writes 0 for a block of zeros; all ones are NaN. */
const POWERS_OF_TWO = Float32Array.from(
  { length: 256 },
  (_, bits) => bits === 0 ? 0 : bits === 255 ? NaN : 2 ** (bits - 127),
);

function decode(bytes: Uint8Array<ArrayBuffer>, { dtype, path }: WeightEntry): Float32Array<ArrayBuffer> {
  const { buffer } = bytes;
  switch (dtype) {
    case "float32":
      return new Float32Array(buffer);
    case "float64":
      return Float32Array.from(new Float64Array(buffer));
    case "float16":
    case "bfloat16":
    case "float8_e4m3fn":
    case "float8_e5m2": {
      const bits = DTYPE_BYTES[dtype] === 1 ? bytes : new Uint16Array(buffer);
      const table = numberTable(dtype);
      const values = new Float32Array(bits.length);
      for (let i = 0; i < bits.length; i++) values[i] = table[bits[i]!]!;
      return values;
    }
    default:
      throw new CheckpointError(`Cannot convert weights of ${path} as ${dtype} is no type of floats`);
  }
}
