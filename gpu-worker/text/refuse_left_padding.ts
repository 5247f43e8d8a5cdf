import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { CheckpointError } from "../checkpoint/checkpoint_error.ts";

/**
 * Rejects left padding in a checkpoint's tokenizer: diffusers uses the first tokens as the
 * prompt's, and would read padding.
 * @throws {CheckpointError} naming the option.
 */
export function refuseLeftPadding(checkpoint: Checkpoint): void {
  const read = (name: string) =>
    checkpoint.has("tokenizer", name) ? checkpoint.json("tokenizer", name) : undefined;
  const config = "tokenizer_config.json";
  const side = read(config)?.["padding_side"];
  if (side === "left") throw leftPadding(checkpoint.path("tokenizer", config), "padding_side");
  if (side !== undefined && side !== null) return;
  // A tokenizer.json that was saved in use says it too.
  const padding = read("tokenizer.json")?.["padding"] as { direction?: unknown } | null | undefined;
  if (padding?.direction !== "Left") return;
  throw leftPadding(checkpoint.path("tokenizer", "tokenizer.json"), "padding.direction");
}

function leftPadding(path: string, option: string): CheckpointError {
  return new CheckpointError(`Cannot use ${path} as '${option}' must be "right": current value is "left"`);
}
