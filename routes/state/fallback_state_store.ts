// State that is shared while the store answers, and this process's own where it does not and that will do. What the store
// alone can know is refused then: "there is none" would be a lie.
import { StoreAwayError } from "../../protocol/store/store_away_error.ts";
import type { Log } from "../../protocol/process/structured_log.ts";
import { MemoryStateStore } from "./memory_state_store.ts";
import type { SetOptions, StateStore } from "./state_store.ts";

export class FallbackStateStore implements StateStore {
  readonly #shared: StateStore;
  readonly #log: Log;
  readonly #own = new MemoryStateStore();

  constructor({ shared, log }: { shared: StateStore; log: Log }) {
    this.#shared = shared;
    this.#log = log;
  }

  /** What was set while the store was away is found here. @throws {StoreAwayError} for what is not, while it is away */
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
    const { forOthers = false, onlyIfPresent = false } = options;
    try {
      return await this.#shared.set(key, value, options) ||
        onlyIfPresent && await this.#own.set(key, value, options);
    } catch (cause) {
      if (forOthers || !(cause instanceof StoreAwayError)) throw cause;
      this.#tell(cause);
      const isSet = await this.#own.set(key, value, options);
      // There may well be one in the store.
      if (!isSet && onlyIfPresent) throw cause;
      return isSet;
    }
  }

  async delete(key: string): Promise<void> {
    await this.#own.delete(key);
    await this.#shared.delete(key);
  }

  push(list: string, value: string, options: { ttlMs: number; front?: boolean }): Promise<void> {
    return this.#ask((store) => store.push(list, value, options));
  }

  rotate(list: string): Promise<string | undefined> {
    return this.#ask((store) => store.rotate(list));
  }

  schedule(agenda: string, member: string, at: number): Promise<void> {
    return this.#ask((store) => store.schedule(agenda, member, at));
  }

  async unschedule(agenda: string, member: string): Promise<void> {
    await this.#own.unschedule(agenda, member);
    await this.#shared.unschedule(agenda, member);
  }

  async forgetBefore(agenda: string, at: number): Promise<void> {
    await this.#own.forgetBefore(agenda, at);
    await this.#ask((store) => store.forgetBefore(agenda, at));
  }

  async claimDue(agenda: string, options: { leaseMs: number; limit: number }): Promise<string[]> {
    const own = await this.#own.claimDue(agenda, options);
    return [...own, ...await this.#shared.claimDue(agenda, options).catch(() => [])];
  }

  async latest(agenda: string, limit: number): Promise<string[]> {
    const own = await this.#own.latest(agenda, limit);
    return [...own, ...await this.#shared.latest(agenda, limit)].slice(0, limit);
  }

  async #ask<T>(command: (store: StateStore) => Promise<T>): Promise<T> {
    try {
      return await command(this.#shared);
    } catch (cause) {
      this.#tell(cause);
      return await command(this.#own);
    }
  }

  #tell(cause: unknown): void {
    this.#log("warn", "state is per instance: store is away", { error: String(cause) });
  }
}
