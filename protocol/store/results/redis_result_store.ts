// Results in Redis over REST (Upstash, or the adapter in deploy/): shared by all
// edges, written by workers too.
import type { RedisLink } from "../redis_link.ts";
import type { Log } from "../../process/structured_log.ts";
import type { ResultStore, StoredResult } from "./result_store.ts";

export interface RedisResultStoreOptions {
  link: RedisLink;
  log: Log;
  /** @default 86400 */
  ttlSeconds?: number;
  /**
   * Larger results are not stored: base64 of about 2 MB of picture; more belongs in object storage.
   * @default 2800000
   */
  maxBytes?: number;
}

const PREFIX = "spectrum:result:";

export class RedisResultStore implements ResultStore {
  readonly #options: Required<RedisResultStoreOptions>;

  constructor(options: RedisResultStoreOptions) {
    this.#options = { ttlSeconds: 86_400, maxBytes: 2_800_000, ...options };
  }

  async get(key: string): Promise<StoredResult | undefined> {
    const text = await this.#options.link.ask((redis) => redis.get<string>(PREFIX + key));
    return text === null ? undefined : JSON.parse(text);
  }

  async has(key: string): Promise<boolean> {
    return await this.#options.link.ask((redis) => redis.exists(PREFIX + key)) === 1;
  }

  async set(key: string, result: StoredResult): Promise<void> {
    const { link, maxBytes, ttlSeconds, log } = this.#options;
    const text = JSON.stringify(result);
    if (text.length > maxBytes) return;
    try {
      await link.ask((redis) => redis.set(PREFIX + key, text, { ex: ttlSeconds }));
    } catch (cause) {
      log("warn", "result store is away", { error: String(cause) });
    }
  }
}
