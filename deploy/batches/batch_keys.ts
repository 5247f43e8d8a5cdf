// Names in the queue's Redis. Scripts build the same names: batch_scripts.ts.

export const PREFIX = "spectrum:batches:";

/**
 * Keys with a batch's id: batch (a hash), results (a hash by index), tries, again (indices to be handed out
 * once more).
 * Keys with a file's id: file (its record), content, lines (where each request lies), uses (batches that
 * still read it).
 * Keys with a tenant: files and batches (the newest last), held ("ID:BYTES" by the moment at which the bytes
 * are free again), waiting (batches with requests to hand out).
 */
export type Kind =
  | "batch"
  | "results"
  | "tries"
  | "again"
  | "file"
  | "content"
  | "lines"
  | "uses"
  | "files"
  | "batches"
  | "held"
  | "waiting";

export function key(kind: Kind, id: string): string {
  return `${PREFIX}${kind}:${id}`;
}

/** Tenants with batches that wait, in the order of their turns. */
export const TURNS = `${PREFIX}turns`;
/** Requests under way, "BATCH:INDEX", by the moment at which their puller counts as dead. */
export const LEASES = `${PREFIX}leases`;
/** Requests that are tried again, by the time of the next attempt. */
export const LATER = `${PREFIX}later`;
/** Batches that hand out nothing for a while, by its end. */
export const PARKED = `${PREFIX}parked`;
/** Batches by the time at which their remaining requests end without being made. */
export const CLOSING = `${PREFIX}closing`;
/** Batches of which the store of keys is to be told: that they have begun, or how many pictures they made. */
export const OWED = `${PREFIX}owed`;
/** Batches whose webhook has not been told of their end, by the moment at which they are looked at again. */
export const UNTOLD = `${PREFIX}untold`;
/** Requests without an end (open), and the size of results: lines and their bytes. */
export const SIZES = `${PREFIX}sizes`;

/** Seconds for which files and the results of ended batches are kept: a week. */
export const KEEP_SECONDS = 7 * 86_400;
