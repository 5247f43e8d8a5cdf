// Counters of one instance: where there is no shared store, and while it is away.
import { LRUCache } from "lru-cache";
import { type CounterStore, ONCE_MS, type Take, type Taken } from "./key_store.ts";

/** Windows of time in use: two a key for requests, one for pictures. */
const MAX_COUNTERS = 100_000;

export class MemoryCounters implements CounterStore {
  readonly #counts = new LRUCache<string, number>({ max: MAX_COUNTERS });
  readonly #occasions = new LRUCache<string, true>({ max: MAX_COUNTERS, ttl: ONCE_MS });

  take({ counter, previous, amount, limit, ttlMs, once }: Take): Promise<Taken> {
    const before = previous === undefined ? 0 : this.#count(previous.counter);
    const used = this.#count(counter);
    const ok = amount <= 0 || used + before * (previous?.weight ?? 0) + amount <= limit;
    if (ok && once !== undefined) {
      if (this.#occasions.has(once)) return Promise.resolve({ ok, used, before });
      this.#occasions.set(once, true);
    }
    if (ok) this.#counts.set(counter, used + amount, { ttl: ttlMs });
    return Promise.resolve({ ok, used: ok ? used + amount : used, before });
  }

  used(counter: string): Promise<number> {
    return Promise.resolve(this.#count(counter));
  }

  #count(counter: string): number {
    return this.#counts.get(counter) ?? 0;
  }
}
