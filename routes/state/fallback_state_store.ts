// State that is shared while the store answers, and this process's own while it does not: nothing is refused for it.
import type { Log } from "../../protocol/structured_log.ts";
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

  /** What was set while the store was away is looked for here. */
  async get(key: string): Promise<string | undefined> {
    return await this.#ask((store) => store.get(key)) ?? await this.#own.get(key);
  }

  async set(key: string, value: string, options: SetOptions): Promise<boolean> {
    const isSet = await this.#ask((store) => store.set(key, value, options));
    return isSet || options.onlyIfPresent === true && await this.#own.set(key, value, options);
  }

  async delete(key: string): Promise<void> {
    await this.#own.delete(key);
    await this.#ask((store) => store.delete(key));
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
    await this.#ask((store) => store.unschedule(agenda, member));
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
    return [
      ...await this.#own.latest(agenda, limit),
      ...await this.#ask((store) => store.latest(agenda, limit)),
    ]
      .slice(0, limit);
  }

  async #ask<T>(command: (store: StateStore) => Promise<T>): Promise<T> {
    try {
      return await command(this.#shared);
    } catch (cause) {
      this.#log("warn", "state is per instance: store is away", { error: String(cause) });
      return await command(this.#own);
    }
  }
}
