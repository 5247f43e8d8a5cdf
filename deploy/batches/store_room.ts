// Checks whether a Redis that drops nothing has room for a file or a batch, and whether its key has a share
// left.
import type { Redis } from "ioredis";
import { ApiError } from "../../protocol/wire/api_error.ts";
import { SIZES } from "./batch_keys.ts";
import { HELD } from "./batch_scripts.ts";

/** Share of the memory that is kept free for the ends of batches. */
const SPARE = 0.05;
/** Share of the memory for one key, in bytes of files and results. Redis adds about a quarter. */
const SHARE = 0.6;
/** Largest number of files and batches of one key. */
const MAX_HELD = 10_000;
/** Assumed bytes of a result before any is known. */
const GUESSED_BYTES = 16 * 1024;
/** Bytes of a request under way, beside its result. */
const REQUEST_BYTES = 300;

export interface Need {
  tenant: string;
  bytes: number;
  /** Requests that will each have a result. @default none */
  requests?: number;
}

/**
 * Checks that the store has room for a file of `bytes` and a number of requests.
 * @returns bytes to set aside
 * @throws {ApiError} 503 with Retry-After if there is no room; 429 if the key holds its share
 */
export async function assertRoom(redis: Redis, { tenant, bytes, requests = 0 }: Need): Promise<number> {
  const [info, [open, known, size], held] = await Promise.all([
    redis.info("memory"),
    redis.hmget(SIZES, "open", "lines", "bytes"),
    redis.eval(HELD, 0, tenant),
  ]);
  const read = (field: string) => Number(new RegExp(`^${field}:(\\d+)`, "m").exec(info)?.[1] ?? 0);
  const [used, limit] = [read("used_memory"), read("maxmemory") || Infinity];
  const each = REQUEST_BYTES + (Number(known) > 0 ? Number(size) / Number(known) : GUESSED_BYTES);
  const need = Math.ceil(bytes + requests * each);
  // Room promised to batches under way is refused to new batches only. A file may wait for its own batch.
  const promised = requests === 0 ? 0 : Number(open) * each;
  if (used + promised + need > limit * (1 - SPARE)) throw noRoom();
  const [count, sum] = held as [number, number];
  if (count >= MAX_HELD || sum + need > limit * SHARE) throw noShare();
  return need;
}

/** Returns the client's error for Redis' refusal for lack of memory. Undefined for any other error. */
export function fullStore(cause: unknown): ApiError | undefined {
  return cause instanceof Error && /\bOOM\b/.test(cause.message) ? noRoom(cause) : undefined;
}

function noRoom(cause?: Error): ApiError {
  const message = "The batch service has no room for more at the moment";
  return new ApiError(503, message, { code: "batches_full", retryAfter: 60, cause });
}

function noShare(): ApiError {
  const message = "This key's files and batches take up its share of the batch service. Try to delete files";
  return new ApiError(429, message, { code: "batches_full", retryAfter: 60 });
}
