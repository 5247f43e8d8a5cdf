// Event ids in a log that edges share. Each attempt has ids of its own: viewers may have events of a lost
// attempt that the log lacks, and an id that stood for two events would hide the second one from them.

/** More than an attempt has events. */
const ATTEMPT_IDS = 100_000;

/**
 * Returns the id before those of an attempt's events. An event that tells viewers of the attempt has this id.
 */
export function idsBefore(attempt: number): number {
  return (attempt - 1) * ATTEMPT_IDS;
}

/** Returns the attempt that an event belongs to. */
export function attemptOf(id: number): number {
  return Math.floor(id / ATTEMPT_IDS) + 1;
}
