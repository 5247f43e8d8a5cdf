// Results in this process: for one instance, without any configuration.
import { heapShare } from "../../process/heap_share.ts";
import { LRUCache } from "lru-cache";
import type { ResultStore, StoredResult } from "./result_store.ts";

export interface MemoryResultStoreOptions {
  /**
   * Bytes of all pictures and videos with their stills, counted as base64 text.
   * @default 128 MiB, or an eighth of the heap
   */
  maxBytes?: number;
  /** @default 3600000 */
  ttlMs?: number;
}

/** Rough bytes of a receipt and a key, beside the picture. */
const OVERHEAD_BYTES = 2048;

/** The least recently used go first. */
export class MemoryResultStore implements ResultStore {
  readonly #cache: LRUCache<string, StoredResult>;

  constructor({ maxBytes = heapShare(128 * 2 ** 20), ttlMs = 3_600_000 }: MemoryResultStoreOptions = {}) {
    this.#cache = new LRUCache({
      maxSize: maxBytes,
      ttl: ttlMs,
      // The library reads the clock at most once in this time, in milliseconds.
      ttlResolution: Math.min(1000, ttlMs / 10),
      sizeCalculation: ({ b64_json, stills }) =>
        b64_json.length + (stills ? stills.thumbnail.length + stills.spritesheet.length : 0) + OVERHEAD_BYTES,
    });
  }

  get(key: string): Promise<StoredResult | undefined> {
    return Promise.resolve(this.recall(key));
  }

  recall(key: string): StoredResult | undefined {
    return this.#cache.get(key);
  }

  has(key: string): Promise<boolean> {
    return Promise.resolve(this.#cache.has(key));
  }

  set(key: string, result: StoredResult): Promise<void> {
    this.#cache.set(key, result);
    return Promise.resolve();
  }
}
