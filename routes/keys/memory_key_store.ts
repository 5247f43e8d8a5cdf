// Keys in this process: for an edge without Redis, which has none but those of its
// environment, and for tests.
import {
  type Charge,
  type KeyRecord,
  type KeyStore,
  revoked,
  type Settlement,
  type Take,
  type Taken,
} from "./key_store.ts";
import { MemoryCounters, type MemoryCountersOptions } from "./memory_counters.ts";

export class MemoryKeyStore implements KeyStore {
  readonly #records = new Map<string, KeyRecord>();
  #noted = false;
  readonly #counters: MemoryCounters;

  constructor(options: MemoryCountersOptions = {}) {
    this.#counters = new MemoryCounters(options);
  }

  find(id: string): Promise<KeyRecord | undefined> {
    return Promise.resolve(this.#records.get(id));
  }

  list(): Promise<KeyRecord[]> {
    return Promise.resolve([...this.#records.values()]);
  }

  isEmpty(): Promise<boolean> {
    return Promise.resolve(this.#records.size === 0 && !this.#noted);
  }

  noteKeys(): Promise<void> {
    this.#noted = true;
    return Promise.resolve();
  }

  add(record: KeyRecord): Promise<boolean> {
    const isNew = !this.#records.has(record.id);
    if (isNew) this.#records.set(record.id, record);
    return Promise.resolve(isNew);
  }

  revoke(id: string, at: Date): Promise<KeyRecord | undefined> {
    const found = this.#records.get(id);
    const record = found && revoked(found, at);
    if (record !== undefined) this.#records.set(id, record);
    return Promise.resolve(record);
  }

  take(take: Take): Promise<Taken> {
    return this.#counters.take(take);
  }

  charge(charge: Charge): Promise<{ ok: boolean; used: number }> {
    return this.#counters.charge(charge);
  }

  settle(settlement: Settlement): Promise<void> {
    return this.#counters.settle(settlement);
  }

  renew(held: readonly Pick<Charge, "id" | "holder">[], leaseMs: number): Promise<void> {
    return this.#counters.renew(held, leaseMs);
  }

  repair(): Promise<void> {
    return this.#counters.repair();
  }

  used(counter: string): Promise<number> {
    return this.#counters.used(counter);
  }
}
