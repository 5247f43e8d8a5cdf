// Finished results by cache key. Two implementations: in this process, and in Redis.
import type { CompletedEvent } from "../../wire/run_event.ts";

/** The result of a completed run. */
export interface StoredResult extends Omit<CompletedEvent, "type"> {
  /** Milliseconds since 1970. */
  stored_at: number;
}

export interface ResultStore {
  /** @throws {StoreAwayError} while the store is away: whether there is one cannot be known then */
  get(key: string): Promise<StoredResult | undefined>;
  /** As `get`, where the store can tell at once: the memory of this process. */
  recall?(key: string): StoredResult | undefined;
  /** Whether `get` would find one. @throws {StoreAwayError} */
  has(key: string): Promise<boolean>;
  /** May decline, by size or because the store is away; never a reason to fail a request. */
  set(key: string, result: StoredResult): Promise<void>;
}
