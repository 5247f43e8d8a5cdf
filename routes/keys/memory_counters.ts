// Counters of one edge: without a shared store, and while the store is away.
import { LRUCache } from "lru-cache";
import { atMost } from "../../protocol/store/at_most.ts";
import {
  type Charge,
  type CounterStore,
  MONTH_MS,
  ONCE_MS,
  type Settlement,
  type Take,
  type Taken,
} from "./key_store.ts";

/** Largest number of windows in use: two for the requests of each key, one for its pictures. */
const MAX_COUNTERS = 100_000;

interface Charged {
  counter: string;
  amount: number;
  /** Holder -> until when it counts. */
  holders: Map<string, number>;
  delivered: Set<number>;
  /** Delivered without places. */
  made: number;
}

export interface MemoryCountersOptions {
  /** Milliseconds from any origin. @default performance.now */
  now?: () => number;
}

export class MemoryCounters implements CounterStore {
  readonly #counts = new LRUCache<string, number>(atMost(MAX_COUNTERS));
  readonly #charges = new LRUCache<string, Charged>({ ...atMost(MAX_COUNTERS), ttl: ONCE_MS });
  readonly #held = new Set<string>();
  readonly #now: () => number;

  constructor({ now = () => performance.now() }: MemoryCountersOptions = {}) {
    this.#now = now;
  }

  take({ counter, previous, amount, limit, ttlMs }: Take): Promise<Taken> {
    const before = previous === undefined ? 0 : this.#count(previous.counter);
    const used = this.#count(counter);
    const ok = amount <= 0 || used + before * (previous?.weight ?? 0) + amount <= limit;
    if (ok) this.#counts.set(counter, used + amount, { ttl: ttlMs });
    return Promise.resolve({ ok, used: ok ? used + amount : used, before });
  }

  charge({ id, holder, counter, amount, limit, leaseMs }: Charge): Promise<{ ok: boolean; used: number }> {
    const charged = this.#charged(id, counter);
    const missing = Math.max(0, amount - charged.amount);
    const used = this.#count(charged.counter);
    if (missing > 0 && used + missing > limit) return Promise.resolve({ ok: false, used });
    this.#add(charged, missing);
    charged.holders.set(holder, this.#now() + leaseMs);
    this.#charges.set(id, charged);
    this.#held.add(id);
    return Promise.resolve({ ok: true, used: used + missing });
  }

  settle({ id, holder, counter, delivered, made = 0, done }: Settlement): Promise<void> {
    const charged = this.#charged(id, counter);
    charged.made = Math.max(charged.made, made);
    for (const place of delivered) charged.delivered.add(place);
    if (done === "holder") charged.holders.delete(holder);
    if (done === "all") charged.holders.clear();
    this.#balance(id, charged);
    return Promise.resolve();
  }

  renew(held: readonly Pick<Charge, "id" | "holder">[], leaseMs: number): Promise<void> {
    for (const { id, holder } of held) {
      const holders = this.#charges.get(id)?.holders;
      if (holders?.has(holder)) holders.set(holder, this.#now() + leaseMs);
    }
    return Promise.resolve();
  }

  repair(): Promise<void> {
    const now = this.#now();
    for (const id of this.#held) {
      const charged = this.#charges.get(id);
      for (const [holder, until] of charged?.holders ?? []) if (until <= now) charged!.holders.delete(holder);
      if (charged === undefined) this.#held.delete(id);
      else this.#balance(id, charged);
    }
    return Promise.resolve();
  }

  used(counter: string): Promise<number> {
    return Promise.resolve(this.#count(counter));
  }

  #charged(id: string, counter: string): Charged {
    return this.#charges.get(id) ?? { counter, amount: 0, holders: new Map(), delivered: new Set(), made: 0 };
  }

  #balance(id: string, charged: Charged): void {
    const { amount, holders } = charged;
    const delivered = charged.delivered.size + charged.made;
    this.#add(charged, Math.max(0, delivered - amount));
    if (holders.size === 0) {
      this.#add(charged, delivered - charged.amount);
      this.#held.delete(id);
    }
    if (charged.amount === 0 && holders.size === 0) this.#charges.delete(id);
    else this.#charges.set(id, charged);
  }

  #add(charged: Charged, amount: number): void {
    if (amount === 0) return;
    charged.amount += amount;
    this.#counts.set(charged.counter, this.#count(charged.counter) + amount, { ttl: MONTH_MS });
  }

  #count(counter: string): number {
    return this.#counts.get(counter) ?? 0;
  }
}
