// State in this process: for one edge without a store, and for its time without one.
import { LRUCache } from "lru-cache";
import { MAX_LIST, type SetOptions, type StateStore } from "./state_store.ts";

const MAX_ENTRIES = 100_000;

export interface MemoryStateStoreOptions {
  /** Milliseconds since 1970. @default Date.now */
  now?: () => number;
}

export class MemoryStateStore implements StateStore {
  readonly #values = new LRUCache<string, string>({ max: MAX_ENTRIES });
  readonly #lists = new LRUCache<string, string[]>({ max: MAX_ENTRIES });
  readonly #agendas = new Map<string, Map<string, number>>();
  readonly #now: () => number;

  constructor({ now = Date.now }: MemoryStateStoreOptions = {}) {
    this.#now = now;
  }

  get(key: string): Promise<string | undefined> {
    return Promise.resolve(this.#values.get(key));
  }

  set(
    key: string,
    value: string,
    { ttlMs, onlyIfAbsent = false, onlyIfPresent = false }: SetOptions,
  ): Promise<boolean> {
    if (this.#values.get(key) === undefined ? onlyIfPresent : onlyIfAbsent) return Promise.resolve(false);
    this.#values.set(key, value, { ttl: ttlMs });
    return Promise.resolve(true);
  }

  delete(key: string): Promise<void> {
    this.#values.delete(key);
    return Promise.resolve();
  }

  push(
    list: string,
    value: string,
    { ttlMs, front = false }: { ttlMs: number; front?: boolean },
  ): Promise<void> {
    const others = (this.#lists.get(list) ?? []).filter((other) => other !== value);
    const values = front ? [value, ...others].slice(0, MAX_LIST) : [...others, value].slice(-MAX_LIST);
    this.#lists.set(list, values, { ttl: ttlMs });
    return Promise.resolve();
  }

  rotate(list: string): Promise<string | undefined> {
    const values = this.#lists.get(list) ?? [];
    const first = values.shift();
    if (first !== undefined) values.push(first);
    return Promise.resolve(first);
  }

  schedule(agenda: string, member: string, at: number): Promise<void> {
    const entries = this.#agendas.get(agenda) ?? new Map<string, number>();
    this.#agendas.set(agenda, entries.set(member, at));
    return Promise.resolve();
  }

  unschedule(agenda: string, member: string): Promise<void> {
    const entries = this.#agendas.get(agenda);
    entries?.delete(member);
    if (entries?.size === 0) this.#agendas.delete(agenda);
    return Promise.resolve();
  }

  forgetBefore(agenda: string, at: number): Promise<void> {
    const entries = this.#agendas.get(agenda);
    for (const [member, due] of entries ?? []) if (due < at) entries!.delete(member);
    return Promise.resolve();
  }

  claimDue(agenda: string, { leaseMs, limit }: { leaseMs: number; limit: number }): Promise<string[]> {
    const now = this.#now();
    const entries = this.#agendas.get(agenda) ?? new Map<string, number>();
    const due = [...entries].filter(([, at]) => at <= now).sort(([, a], [, b]) => a - b).slice(0, limit);
    for (const [member] of due) entries.set(member, now + leaseMs);
    return Promise.resolve(due.map(([member]) => member));
  }

  latest(agenda: string, limit: number): Promise<string[]> {
    const entries = [...this.#agendas.get(agenda) ?? []].sort(([, a], [, b]) => b - a);
    return Promise.resolve(entries.slice(0, limit).map(([member]) => member));
  }
}
