// Reads the names and places of a file's tensors, whatever the file's format. The bytes stay where they are.
import { readSafetensorsHeader } from "./safetensors.ts";
import type { WeightEntry } from "./weights.ts";

/**
 * Returns the tensors of the file at `path`, in the file's order. Symlinks are resolved.
 * @throws {CheckpointError} if the file is missing, truncated or malformed.
 */
export function readTensors(path: string): Map<string, WeightEntry> {
  const entries = readSafetensorsHeader(path);
  const real = Deno.realPathSync(path);
  return new Map([...entries].map(([name, entry]) => [name, { ...entry, path: real }]));
}
