// Redis over REST, as the edge uses it: Upstash, or the adapter in deploy/.
import { Redis } from "@upstash/redis/cloudflare";

/**
 * Milliseconds for one call of the store, its way there and back included. A call that takes longer has
 * failed, and the store counts as away.
 */
export const STORE_DEADLINE_MS = 2000;

export interface RedisClientOptions {
  url: string;
  token: string;
  /** Milliseconds for one command. @default STORE_DEADLINE_MS */
  timeoutMs?: number;
  /** Whether commands of the same moment travel in one request. @default true */
  together?: boolean;
}

export function redisClient(
  { url, token, timeoutMs = STORE_DEADLINE_MS, together = true }: RedisClientOptions,
): Redis {
  return new Redis({
    url,
    token,
    // The /cloudflare entry with this off reads no environment variable.
    enableTelemetry: false,
    // The callers parse the values themselves.
    automaticDeserialization: false,
    enableAutoPipelining: together,
    // A second attempt could count twice.
    retry: { retries: 0 },
    signal: () => AbortSignal.timeout(timeoutMs),
  });
}
