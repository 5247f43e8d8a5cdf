// Reads a JSON object from a file of a checkpoint.
import { CheckpointError } from "./checkpoint_error.ts";

/** A tokenizer of 250,000 tokens has some 30 MB. */
const MAX_JSON_BYTES = 100_000_000;

/** Reads a config. @throws {CheckpointError} if the file is missing, too large or not a JSON object. */
export function readJsonObject(path: string): Record<string, unknown> {
  let text: string;
  try {
    const { size } = Deno.statSync(path);
    if (size > MAX_JSON_BYTES) {
      throw new CheckpointError(
        `Cannot read ${path} as it must have at most ${MAX_JSON_BYTES} bytes, but has ${size}`,
      );
    }
    text = Deno.readTextFileSync(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) {
      throw new CheckpointError(`Cannot read ${path} as it does not exist`, { cause });
    }
    throw cause;
  }
  try {
    // Python writes infinity as a word, e.g. in DPMSolverMultistep's config. JSON has none,
    // but parses 1e999 as infinity.
    const value = JSON.parse(text.replaceAll(/(?<=:\s*-?)Infinity(?=\s*[,}])/g, "1e999"));
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  } catch (cause) {
    throw new CheckpointError(`Cannot read ${path} as it is not JSON`, { cause });
  }
  throw new CheckpointError(`Cannot read ${path} as it is not a JSON object`);
}
