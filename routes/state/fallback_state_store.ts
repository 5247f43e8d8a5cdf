// State that is shared while the store answers. While it is away, values are kept in this process if that is
// enough. Questions that only the store can answer are then refused: "there is none" would be a lie.
import { StoreAwayError } from "../../protocol/store/store_away_error.ts";
import type { Log } from "../../protocol/process/structured_log.ts";
import { MemoryStateStore } from "./memory_state_store.ts";
import type { Entered, Entry, PageOptions, SetOptions, StateStore } from "./state_store.ts";

export class FallbackStateStore implements StateStore {
  readonly #shared: StateStore;
  readonly #log: Log;
  readonly #own = new MemoryStateStore();

  constructor({ shared, log }: { shared: StateStore; log: Log }) {
    this.#shared = shared;
    this.#log = log;
  }

  /**
   * Finds values that were set while the store was away.
   * @throws {StoreAwayError} for other values, while it is away
   */
  async get(key: string): Promise<string | undefined> {
    const own = await this.#own.get(key);
    try {
      return await this.#shared.get(key) ?? own;
    } catch (cause) {
      if (own === undefined) throw cause;
      return own;
    }
  }

  async set(key: string, value: string, options: SetOptions): Promise<boolean> {
    if (options.shared) return await this.#shared.set(key, value, options);
    return await this.#ask((store) => store.set(key, value, options));
  }

  /** Values that were set while the store was away are never promises. @throws {StoreAwayError} */
  async swap(key: string, change: { from: string; to: string }): Promise<string | undefined> {
    return await this.#shared.swap(key, change);
  }

  async delete(key: string): Promise<void> {
    await this.#own.delete(key);
    await this.#shared.delete(key);
  }

  /**
   * Enters a value in the store alone, as other edges have to find it.
   * @throws {StoreAwayError} rather than keep it in this process alone
   */
  async enter(entry: Entry, value: string): Promise<Entered> {
    return await this.#shared.enter(entry, value);
  }

  async remove(entry: Omit<Entry, "ttlMs" | "max">): Promise<void> {
    await this.#shared.remove(entry);
  }

  async page(list: string, options: PageOptions): Promise<string[]> {
    return await this.#shared.page(list, options);
  }

  push(list: string, value: string, options: { ttlMs: number; front?: boolean }): Promise<void> {
    return this.#ask((store) => store.push(list, value, options));
  }

  rotate(list: string): Promise<string | undefined> {
    return this.#ask((store) => store.rotate(list));
  }

  schedule(agenda: string, member: string, inMs: number): Promise<void> {
    return this.#shared.schedule(agenda, member, inMs);
  }

  unschedule(agenda: string, member: string): Promise<void> {
    return this.#shared.unschedule(agenda, member);
  }

  claimDue(agenda: string, options: { leaseMs: number; limit: number }): Promise<string[]> {
    return this.#shared.claimDue(agenda, options);
  }

  latest(agenda: string, limit: number): Promise<string[]> {
    return this.#shared.latest(agenda, limit);
  }

  async #ask<T>(command: (store: StateStore) => Promise<T>): Promise<T> {
    try {
      return await command(this.#shared);
    } catch (cause) {
      if (!(cause instanceof StoreAwayError)) throw cause;
      this.#tell(cause);
      return await command(this.#own);
    }
  }

  #tell(cause: unknown): void {
    this.#log("warn", "state is per instance: store is away", { error: String(cause) });
  }
}
