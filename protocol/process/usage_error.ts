// The error for a command line that cannot be understood; it ends the process with code 2.

export class UsageError extends Error {
  override readonly name = "UsageError";
}
