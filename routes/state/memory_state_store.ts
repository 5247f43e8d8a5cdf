// State in this process: for a single edge without a store, and while the store is away.
import { LRUCache } from "lru-cache";
import { atMost } from "../../protocol/store/at_most.ts";
import {
  type Entered,
  type Entry,
  MAX_LIST,
  type PageOptions,
  type SetOptions,
  type StateStore,
} from "./state_store.ts";

const MAX_ENTRIES = 100_000;
/** Largest sum of all values, in characters. */
const MAX_CHARACTERS = 64 * 2 ** 20;
/**
 * Weight of an entry beside its value, in characters. It bounds the number of entries too: about MAX_ENTRIES.
 */
const OVERHEAD = 700;

export interface MemoryStateStoreOptions {
  /** Milliseconds since 1970. @default Date.now */
  now?: () => number;
}

export class MemoryStateStore implements StateStore {
  readonly #values = new LRUCache<string, string>({
    maxSize: MAX_CHARACTERS,
    sizeCalculation: (value) => value.length + OVERHEAD,
  });
  readonly #lists = new LRUCache<string, string[]>(atMost(MAX_ENTRIES));
  readonly #agendas = new Map<string, Map<string, number>>();
  readonly #now: () => number;

  constructor({ now = Date.now }: MemoryStateStoreOptions = {}) {
    this.#now = now;
  }

  get(key: string): Promise<string | undefined> {
    return Promise.resolve(this.#values.get(key));
  }

  set(key: string, value: string, { ttlMs, onlyIfAbsent = false }: SetOptions): Promise<boolean> {
    if (onlyIfAbsent && this.#values.get(key) !== undefined) return Promise.resolve(false);
    this.#values.set(key, value, { ttl: ttlMs });
    return Promise.resolve(true);
  }

  swap(key: string, { from, to }: { from: string; to: string }): Promise<string | undefined> {
    if (this.#values.get(key) === from) {
      this.#values.set(key, to, { ttl: this.#values.getRemainingTTL(key) });
    }
    return Promise.resolve(this.#values.get(key));
  }

  delete(key: string): Promise<void> {
    this.#values.delete(key);
    return Promise.resolve();
  }

  async enter({ key, member, agenda, list, ttlMs, max = Infinity }: Entry, value: string): Promise<Entered> {
    if (this.#values.has(key)) return "known";
    if (this.#young(list, ttlMs).size >= max) return "full";
    this.#values.set(key, value, { ttl: ttlMs });
    await this.schedule(agenda, member, 0);
    await this.schedule(list, member, 0);
    return "entered";
  }

  async remove({ key, member, agenda, list }: Omit<Entry, "ttlMs" | "max">): Promise<void> {
    this.#values.delete(key);
    await this.unschedule(agenda, member);
    await this.unschedule(list, member);
  }

  page(list: string, options: PageOptions): Promise<string[]> {
    const { prefix, limit, after, ascending = false, ttlMs } = options;
    const members = [...this.#young(list, ttlMs)].sort(([, a], [, b]) => a - b).map(([member]) => member);
    if (!ascending) members.reverse();
    const start = after === undefined ? 0 : members.indexOf(after) + 1;
    if (after !== undefined && start === 0) return Promise.resolve([]);
    const page = members.slice(start, start + limit);
    return Promise.resolve(page.flatMap((member) => this.#values.get(prefix + member) ?? []));
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

  schedule(agenda: string, member: string, inMs: number): Promise<void> {
    const entries = this.#agendas.get(agenda) ?? new Map<string, number>();
    this.#agendas.set(agenda, entries.set(member, this.#now() + inMs));
    return Promise.resolve();
  }

  unschedule(agenda: string, member: string): Promise<void> {
    const entries = this.#agendas.get(agenda);
    entries?.delete(member);
    if (entries?.size === 0) this.#agendas.delete(agenda);
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

  #young(list: string, ttlMs: number): Map<string, number> {
    const entries = this.#agendas.get(list) ?? new Map<string, number>();
    for (const [member, at] of entries) if (at <= this.#now() - ttlMs) entries.delete(member);
    return entries;
  }
}
