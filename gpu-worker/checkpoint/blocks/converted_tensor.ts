// A tensor that is rewritten before ONNX Runtime can use it, and the writing of it.
import type { Quantization, WeightEntry } from "../weight_entry.ts";
import { isScaledBlockType } from "../block_types.ts";
import { exactQuantization, repackBlocks } from "./repack_blocks.ts";
import { type BlockRows, quantizeBlocks } from "./quantize_blocks.ts";
import { readRowBytes, readRows, readRowScales, type RowRange, rowsOf, rowsOfBlocks } from "./read_rows.ts";
import { repackScaledBlocks } from "./scaled_blocks.ts";

/** A tensor of a checkpoint, and its place in the file of converted weights. */
export interface ConvertedTensor {
  readonly source: WeightEntry;
  /** @default float32 */
  readonly quantization?: Quantization | undefined;
  /** Bytes before the numbers. */
  readonly offset: number;
  readonly byteLength: number;
  /** Bytes before the blocks' scales, which are float32. */
  readonly scalesOffset?: number | undefined;
}

/** Elements that are in memory at once. Large enough for few calls, small beside any model. */
const CHUNK_ELEMENTS = 2 ** 20;

/** Writes the tensor into `target`, a few rows at a time. */
export async function writeConverted(
  target: Deno.FsFile,
  { source, quantization, offset, scalesOffset = 0 }: ConvertedTensor,
): Promise<void> {
  using file = Deno.openSync(source.path);
  const { rows, columns } = rowsOf(source);
  const together = rowsOfBlocks(source);
  const step = together * Math.max(1, Math.floor(CHUNK_ELEMENTS / columns / together));
  const isExact = isExactly(source, quantization);
  // One matrix: a few rows at a time would be written a few bytes at a time.
  const byColumns = new Uint8Array(quantization?.wholeRows ? rows * columns : 0);
  for (let from = 0; from < rows; from += step) {
    const range = { from, to: Math.min(rows, from + step) };
    if (quantization === undefined) {
      await writeAt(target, offset + from * columns * 4, readRows(file, source, range));
      continue;
    }
    const { data, scales } = isExact
      ? repack(file, { source, range, quantization })
      : quantizeBlocks(readRows(file, source, range), quantization);
    const { bits, blockSize, wholeRows } = quantization;
    await writeAt(target, scalesOffset + from * columns / blockSize * 4, scales);
    if (!wholeRows) await writeAt(target, offset + from * columns * bits / 8, data);
    else putColumns(byColumns, data, { from, rows, columns });
  }
  if (quantization?.wholeRows) await writeAt(target, offset, byColumns);
}

/** Rewrites the file's own blocks. */
function repack(
  file: Deno.FsFile,
  { source, range, quantization }: { source: WeightEntry; range: RowRange; quantization: Quantization },
): BlockRows {
  const { blocks: type, scale } = source;
  const bytes = readRowBytes(file, source, range);
  if (!isScaledBlockType(type!)) return repackBlocks(bytes, type!);
  const { columns } = rowsOf(source);
  const scales = readRowScales(source, range);
  return repackScaledBlocks({ bytes, type, columns, scales }, { ...quantization, scale });
}

/** Copies whole rows from row `from` on into a matrix that lies column by column. */
function putColumns(
  target: Uint8Array,
  data: Uint8Array,
  { from, rows, columns }: { from: number; rows: number; columns: number },
): void {
  const count = data.length / columns;
  for (let column = 0; column < columns; column++) {
    const to = column * rows + from;
    for (let row = 0, at = column; row < count; row++, at += columns) target[to + row] = data[at]!;
  }
}

/** Returns whether the file's own blocks are kept. */
function isExactly(
  { blocks, scale = 1 }: WeightEntry,
  quantization: Quantization | undefined,
): boolean {
  const exact = blocks && exactQuantization(blocks);
  // Every block of a row of INT8 has the row's scale.
  if (blocks === "INT8") return quantization?.bits === 8;
  return scale === 1 && exact !== undefined && exact.bits === quantization?.bits &&
    exact.blockSize === quantization.blockSize;
}

async function writeAt(file: Deno.FsFile, offset: number, values: Uint8Array | Float32Array): Promise<void> {
  await file.seek(offset, Deno.SeekMode.Start);
  let bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  while (bytes.length > 0) bytes = bytes.subarray(await file.write(bytes));
}
