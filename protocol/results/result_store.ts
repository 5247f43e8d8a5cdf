// Finished results by cache key. Two implementations: in this process, and in Redis.
import type { CompletedEvent } from "../run_event.ts";

/** What a run was completed with. */
export interface StoredResult extends Omit<CompletedEvent, "type"> {
  /** Milliseconds since 1970. */
  stored_at: number;
}

export interface ResultStore {
  /** undefined, too, while the store is away. */
  get(key: string): Promise<StoredResult | undefined>;
  /** May decline, by size or because the store is away; never a reason to fail a request. */
  set(key: string, result: StoredResult): Promise<void>;
}
