// Reads a small tensor's values on the host.
import { readRows, rowsOf } from "./blocks/read_rows.ts";
import type { WeightEntry } from "./weight_entry.ts";

/**
 * Reads the numbers of a small tensor.
 * @throws {CheckpointError} if the tensor is not of floating-point numbers, or the file is truncated.
 */
export function readValues(entry: WeightEntry): number[] {
  using file = Deno.openSync(entry.path);
  return [...readRows(file, entry, { from: 0, to: rowsOf(entry).rows })];
}
