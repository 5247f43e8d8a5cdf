// Finished results by cache key. Two implementations: in this process, and in Redis.
import type { CompletedEvent } from "../../wire/run_event.ts";

/** The result of a completed run. */
export interface StoredResult extends Omit<CompletedEvent, "type"> {
  /** Milliseconds since 1970. */
  stored_at: number;
}

export interface ResultStore {
  /**
   * Returns the result with this key, or undefined without one.
   * @throws {StoreAwayError} while the store is away: whether there is one cannot be known then
   */
  get(key: string): Promise<StoredResult | undefined>;
  /** Returns the result as `get` does, where the store can tell at once, from the memory of this process. */
  recall?(key: string): StoredResult | undefined;
  /** Returns whether `get` would find one. @throws {StoreAwayError} */
  has(key: string): Promise<boolean>;
  /** Stores a result. It may decline, by size or because the store is away; a request never fails for it. */
  set(key: string, result: StoredResult): Promise<void>;
}
