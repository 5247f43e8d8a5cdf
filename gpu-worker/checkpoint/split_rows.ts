// Splits a tensor by rows. Rows are contiguous in a file, also in blocks of quantised numbers, so each part
// is a range of the same bytes.
import type { WeightEntry } from "./weight_entry.ts";

/**
 * Returns the parts of `entry` that have `counts` rows each. Their sum must be the tensor's first dimension.
 */
export function splitRows(entry: WeightEntry, counts: readonly number[]): WeightEntry[] {
  const [rows = 0, ...rest] = entry.shape;
  const rowBytes = entry.byteLength / rows;
  let offset = entry.offset;
  return counts.map((count) => {
    const byteLength = count * rowBytes;
    const part = { ...entry, shape: [count, ...rest], offset, byteLength };
    offset += byteLength;
    return part;
  });
}
