// Results in Redis over REST (Upstash, or the adapter in deploy/): shared by all instances.
import { Redis } from "@upstash/redis/cloudflare";
import type { Log } from "../../protocol/structured_log.ts";
import type { ResultStore, StoredResult } from "./result_store.ts";

export interface RedisResultStoreOptions {
  url: string;
  token: string;
  log: Log;
  /** @default 86400 */
  ttlSeconds?: number;
  /** Larger results are not stored: base64 of about 2 MB of picture; more belongs in object storage. @default 2800000 */
  maxBytes?: number;
  /** For one command; a store that is slower than that is away. @default 2000 */
  timeoutMs?: number;
}

const PREFIX = "spectrum:result:";

/** A store that is away is a miss: generation goes on uncached. */
export class RedisResultStore implements ResultStore {
  readonly #redis: Redis;
  readonly #options: Required<RedisResultStoreOptions>;

  constructor(options: RedisResultStoreOptions) {
    this.#options = { ttlSeconds: 86_400, maxBytes: 2_800_000, timeoutMs: 2000, ...options };
    const { url, token, timeoutMs } = this.#options;
    this.#redis = new Redis({
      url,
      token,
      // The /cloudflare entry with this off reads no environment variable.
      enableTelemetry: false,
      // Values are our own JSON: parsed here, once.
      automaticDeserialization: false,
      retry: { retries: 0 },
      signal: () => AbortSignal.timeout(timeoutMs),
    });
  }

  async get(key: string): Promise<StoredResult | undefined> {
    try {
      const text = await this.#redis.get<string>(PREFIX + key);
      return text === null ? undefined : JSON.parse(text);
    } catch (cause) {
      this.#options.log("warn", "result store is away", { error: String(cause) });
      return undefined;
    }
  }

  async set(key: string, result: StoredResult): Promise<void> {
    const { maxBytes, ttlSeconds, log } = this.#options;
    const text = JSON.stringify(result);
    if (text.length > maxBytes) return;
    try {
      await this.#redis.set(PREFIX + key, text, { ex: ttlSeconds });
    } catch (cause) {
      log("warn", "result store is away", { error: String(cause) });
    }
  }
}
