// Whether a Redis that drops nothing has room for what is about to be promised.
import type { Redis } from "ioredis";
import { ApiError } from "../../protocol/wire/api_error.ts";
import { SIZES } from "./batch_keys.ts";

/** Of the memory: for what ends batches while nothing else fits. */
const SPARE = 0.05;
/** Of a result, until there are some. */
const GUESSED_BYTES = 16 * 1024;
/** Of a request under way, beside its result. */
const REQUEST_BYTES = 300;

export interface Need {
  bytes: number;
  /** Requests that will each have a result, beside those of all batches under way. @default none: no results are counted */
  requests?: number;
}

/** @throws {ApiError} 503 with Retry-After if there is no room */
export async function assertRoom(redis: Redis, { bytes, requests = 0 }: Need): Promise<void> {
  const [info, [open, known, size]] = await Promise.all([
    redis.info("memory"),
    redis.hmget(SIZES, "open", "lines", "bytes"),
  ]);
  const read = (field: string) => Number(new RegExp(`^${field}:(\\d+)`, "m").exec(info)?.[1] ?? 0);
  const [used, limit] = [read("used_memory"), read("maxmemory")];
  if (limit === 0) return;
  const each = REQUEST_BYTES + (Number(known) > 0 ? Number(size) / Number(known) : GUESSED_BYTES);
  const results = requests === 0 ? 0 : (Number(open) + requests) * each;
  if (used + bytes + results > limit * (1 - SPARE)) throw noRoom();
}

/** What Redis' own refusal for want of memory means to a client; undefined for any other error. */
export function fullStore(cause: unknown): ApiError | undefined {
  return cause instanceof Error && /\bOOM\b/.test(cause.message) ? noRoom(cause) : undefined;
}

function noRoom(cause?: Error): ApiError {
  const message = "The batch service has no room for more at the moment";
  return new ApiError(503, message, { code: "batches_full", retryAfter: 60, cause });
}
