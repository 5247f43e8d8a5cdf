// Results in Redis over REST (Upstash, or the adapter in deploy/): shared by all instances.
import type { Redis } from "@upstash/redis/cloudflare";
import type { Log } from "../../protocol/structured_log.ts";
import { redisClient, type RedisClientOptions } from "../redis_client.ts";
import type { ResultStore, StoredResult } from "./result_store.ts";

export interface RedisResultStoreOptions extends RedisClientOptions {
  log: Log;
  /** @default 86400 */
  ttlSeconds?: number;
  /** Larger results are not stored: base64 of about 2 MB of picture; more belongs in object storage. @default 2800000 */
  maxBytes?: number;
}

const PREFIX = "spectrum:result:";

/** A store that is away is a miss: generation goes on uncached. */
export class RedisResultStore implements ResultStore {
  readonly #redis: Redis;
  readonly #options: Required<Omit<RedisResultStoreOptions, keyof RedisClientOptions>>;

  constructor(options: RedisResultStoreOptions) {
    this.#options = { ttlSeconds: 86_400, maxBytes: 2_800_000, ...options };
    this.#redis = redisClient(options);
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
