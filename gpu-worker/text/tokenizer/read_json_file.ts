// Reads a tokenizer's JSON files, each of which may be missing.
import { CheckpointError } from "../../checkpoint/checkpoint_error.ts";
import { readFile } from "../../checkpoint/read_file.ts";

/**
 * Returns the parsed file, or undefined if there is none.
 * @throws {CheckpointError} if it is not a JSON object.
 */
export function readJsonFile(path: string): Record<string, unknown> | undefined {
  const bytes = readFile(path);
  if (bytes === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new CheckpointError(`Cannot read ${path} as it is not JSON`, { cause });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  throw new CheckpointError(`Cannot read ${path} as it is not a JSON object`);
}
