// The error for a checkpoint that is incomplete, damaged, contradicts itself or asks for what we do not do.

/** Thrown when a checkpoint directory cannot be used; the message names the file and the rule it breaks. */
export class CheckpointError extends Error {
  override readonly name = "CheckpointError";
}
