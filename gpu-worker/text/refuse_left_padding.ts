import type { Checkpoint } from "../checkpoint/checkpoint.ts";
import { CheckpointError } from "../checkpoint/checkpoint_error.ts";

/**
 * Rejects left padding in a checkpoint's tokenizer: diffusers uses the first tokens as the
 * prompt's, and would read padding.
 * @throws {CheckpointError} naming the option.
 */
export function refuseLeftPadding(checkpoint: Checkpoint): void {
  const path = ["tokenizer", "tokenizer_config.json"];
  const side = checkpoint.has(...path) ? checkpoint.json(...path)["padding_side"] : undefined;
  if (side !== "left") return;
  throw new CheckpointError(
    `Cannot use ${checkpoint.path(...path)} as 'padding_side' must be "right": current value is "left"`,
  );
}
