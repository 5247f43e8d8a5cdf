// The error for a checkpoint that is incomplete, damaged, contradictory or unsupported.

/** Thrown when a checkpoint cannot be used. The message names the file and the rule it breaks. */
export class CheckpointError extends Error {
  override readonly name = "CheckpointError";
}
