// Redis over REST, as the edge uses it: Upstash, or the adapter in deploy/.
import { Redis } from "@upstash/redis/cloudflare";

export interface RedisClientOptions {
  url: string;
  token: string;
  /** For one command; a store that is slower than that is away. @default 2000 */
  timeoutMs?: number;
}

export function redisClient({ url, token, timeoutMs = 2000 }: RedisClientOptions): Redis {
  return new Redis({
    url,
    token,
    // The /cloudflare entry with this off reads no environment variable.
    enableTelemetry: false,
    // Values are our own: parsed here, once.
    automaticDeserialization: false,
    // A second attempt could count twice.
    retry: { retries: 0 },
    signal: () => AbortSignal.timeout(timeoutMs),
  });
}
