// Reads rows of a tensor from its file, as float32 or as GGUF's blocks.
import { DTYPE_BYTES } from "../../runtime/dtype.ts";
import { BLOCK_TYPES } from "../block_types.ts";
import { CheckpointError } from "../checkpoint_error.ts";
import type { WeightEntry } from "../weight_entry.ts";
import { dequantizeBlocks } from "./dequantize_blocks.ts";
import { numberTable } from "./number_tables.ts";

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
  { from, to }: RowRange,
): Uint8Array<ArrayBuffer> {
  const { rows } = rowsOf(entry);
  const rowBytes = entry.byteLength / rows;
  const together = rowsOfBlocks(entry);
  const bytes = new Uint8Array((to - from) * rowBytes);
  const read = (range: RowRange, source: number) => {
    if (source % together !== 0 || (range.to - range.from) % together !== 0) {
      throw new CheckpointError(
        `Cannot use ${entry.path} as blocks of a tensor [${entry.shape}] end after every ${together} rows: ` +
          `${range.to - range.from} rows from row ${source} on cannot be read`,
      );
    }
    readAt(file, entry, {
      offset: entry.offset + source * rowBytes,
      bytes: bytes.subarray((range.from - from) * rowBytes, (range.to - from) * rowBytes),
    });
  };
  if (entry.order === "paired") {
    const { headRows = rows } = entry;
    for (let row = from; row < to; row++) {
      const within = row % headRows;
      const place = within * 2 % headRows + Math.floor(within * 2 / headRows);
      read({ from: row, to: row + 1 }, row - within + place);
    }
    return bytes;
  }
  if (entry.order !== "swapped") {
    read({ from, to }, from);
    return bytes;
  }
  // Each half of the rows lies where the other one should.
  const half = rows / 2;
  if (from < half) read({ from, to: Math.min(to, half) }, from + half);
  if (to > half) read({ from: Math.max(from, half), to }, Math.max(from, half) - half);
  return bytes;
}

/** Reads rows as float32, multiplied by the tensor's scale. */
export function readRows(file: Deno.FsFile, entry: WeightEntry, range: RowRange): Float32Array<ArrayBuffer> {
  const bytes = readRowBytes(file, entry, range);
  const values = entry.blocks === undefined ? decode(bytes, entry) : dequantizeBlocks(bytes, entry.blocks);
  const { scale = 1 } = entry;
  if (scale !== 1) { for (let i = 0; i < values.length; i++) values[i]! *= scale; }
  return values;
}

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

function readAt(
  file: Deno.FsFile,
  { path }: WeightEntry,
  { offset, bytes }: { offset: number; bytes: Uint8Array },
): void {
  file.seekSync(offset, Deno.SeekMode.Start);
  for (let filled = 0; filled < bytes.length;) {
    const read = file.readSync(bytes.subarray(filled));
    if (read === null) {
      throw new CheckpointError(
        `Cannot read ${path} as it ends at byte ${offset + filled}: truncated download?`,
      );
    }
    filled += read;
  }
}
