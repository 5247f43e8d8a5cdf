// Splits a tensor by rows. Rows are contiguous in a file, also in blocks of quantised numbers, so each part
// is a range of the same bytes.
import { rowsOfBlocks } from "./blocks/read_rows.ts";
import { CheckpointError } from "./checkpoint_error.ts";
import type { WeightEntry } from "./weight_entry.ts";

/**
 * Returns the parts of `entry` that have `counts` rows each. Their sum must be the tensor's first dimension.
 * @throws {CheckpointError} if a part would begin inside a block.
 */
export function splitRows(entry: WeightEntry, counts: readonly number[]): WeightEntry[] {
  const [rows = 0, ...rest] = entry.shape;
  const rowBytes = entry.byteLength / rows;
  const together = rowsOfBlocks(entry);
  if (counts.some((count) => count % together !== 0)) {
    throw new CheckpointError(
      `Cannot use ${entry.path} as a tensor [${entry.shape}] in ${entry.blocks} must be split where its ` +
        `blocks end, after every ${together} rows: its parts have ${counts.join(", ")} rows`,
    );
  }
  let offset = entry.offset;
  let firstRow = entry.scales?.firstRow ?? 0;
  return counts.map((count) => {
    const byteLength = count * rowBytes;
    const scales = entry.scales && { ...entry.scales, firstRow };
    const part = { ...entry, shape: [count, ...rest], offset, byteLength, ...scales && { scales } };
    offset += byteLength;
    firstRow += count;
    return part;
  });
}
