// The limits of a key: requests in any minute, pictures in a calendar month (UTC).
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { Log } from "../../protocol/process/structured_log.ts";
import {
  type Charge,
  type CounterStore,
  type KeyRecord,
  MONTH_MS,
  type Settlement,
  type Take,
  type Taken,
} from "./key_store.ts";
import { MemoryCounters } from "./memory_counters.ts";

export interface KeyLimitsOptions {
  store: CounterStore;
  log: Log;
  /** Milliseconds since 1970. @default Date.now */
  now?: () => number;
}

/** Pictures that are counted under an id. */
export type ChargedPictures = Pick<Charge, "id" | "holder" | "counter">;

export interface ReturnedPictures {
  counter: string;
  count: number;
  /** Id of the job that gives them back. */
  once: string;
}

const MINUTE_MS = 60_000;
/** For answers and streams, which end long before. */
const LEASE_MS = 3_600_000;
/** Settlements that wait for the store. */
const MAX_OWED = 10_000;

/**
 * Counts here first, then in the store: this instance's share alone is enough to refuse a flood of requests, and what it
 * knows of pictures holds their limit while the store is away.
 */
export class KeyLimits {
  readonly #store: CounterStore;
  readonly #own = new MemoryCounters();
  /** Deliveries while the store was away, by id and holder. */
  readonly #owed = new Map<string, Settlement>();
  readonly #log: Log;
  readonly #now: () => number;

  constructor({ store, log, now = () => Date.now() }: KeyLimitsOptions) {
    this.#store = store;
    this.#log = log;
    this.#now = now;
  }

  /** @throws {ApiError} 429 rate_limit_exceeded */
  async takeRequest({ id, requests_per_minute: limit }: KeyRecord): Promise<void> {
    if (limit === null) return;
    const now = this.#now();
    const minute = Math.floor(now / MINUTE_MS);
    const passed = (now % MINUTE_MS) / MINUTE_MS;
    const taken = await this.#take({
      counter: `requests:${id}:${minute}`,
      // The share of the last sixty seconds that lies in the minute before counts as if its requests had come evenly.
      previous: { counter: `requests:${id}:${minute - 1}`, weight: 1 - passed },
      amount: 1,
      limit,
      ttlMs: 2 * MINUTE_MS,
    });
    if (taken.ok) return;
    throw new ApiError(429, `This API key may send ${limit} requests a minute`, {
      code: "rate_limit_exceeded",
      // A millisecond later, for what is lost in rounding.
      retryAfter: Math.ceil(waitMinutes(taken, { limit, passed }) * 60 + 0.001),
    });
  }

  /**
   * Counts `count` pictures, all or none. Without a key there is no limit.
   * @returns gives them back, for requests that get none
   * @throws {ApiError} 429 insufficient_quota
   */
  async takePictures(key: KeyRecord | undefined, count: number): Promise<() => void> {
    const limit = key?.pictures_per_month ?? null;
    if (key === undefined || limit === null) return () => {};
    const now = new Date(this.#now());
    const take = { counter: monthCounter(key.id, now), amount: count, limit, ttlMs: MONTH_MS };
    if ((await this.#take(take)).ok) return () => void this.#take({ ...take, amount: -count });
    throw tooFewLeft(limit, now);
  }

  /**
   * Counts `count` pictures under an id, all or none, once for all requests that come with the id.
   * @returns null: this key has no limit
   * @throws {ApiError} 429 insufficient_quota
   */
  async chargePictures(
    key: KeyRecord | undefined,
    { id, holder, count, leaseMs = LEASE_MS }: {
      id: string;
      holder: string;
      count: number;
      leaseMs?: number;
    },
  ): Promise<ChargedPictures | null> {
    const limit = key?.pictures_per_month ?? null;
    if (key === undefined || limit === null) return null;
    const now = new Date(this.#now());
    const counter = monthCounter(key.id, now);
    const charge = { id, holder, counter, amount: count, limit, leaseMs };
    const charged = await this.#charge(charge);
    if (!charged.ok) throw tooFewLeft(limit, now);
    return { id, holder, counter };
  }

  /** Never rejects: what the store does not take now is noted, and `repair` says it again. */
  async settlePictures(settlement: Settlement): Promise<void> {
    try {
      await this.#store.settle(settlement);
    } catch (cause) {
      this.#log("warn", "pictures are counted later: key store is away", { error: String(cause) });
      await this.#own.settle(settlement);
      const name = `${settlement.id} ${settlement.holder}`;
      const { delivered = [], done = "no" } = this.#owed.get(name) ?? {};
      this.#owed.set(name, {
        ...settlement,
        delivered: [...new Set([...delivered, ...settlement.delivered])],
        done: settlement.done === "no" ? done : settlement.done,
      });
      if (this.#owed.size > MAX_OWED) this.#owed.delete(this.#owed.keys().next().value!);
    }
  }

  /** Settles a job at its end. @throws {StoreAwayError} so that the caller tries again */
  async closePictures(charged: ChargedPictures, delivered: readonly number[]): Promise<void> {
    await this.#store.settle({ ...charged, delivered, done: "all" });
  }

  /** Says again what the store has not heard, and gives back what requests that have died did not deliver. @throws while the store is away */
  async repair(): Promise<void> {
    for (const [name, settlement] of this.#owed) {
      await this.#store.settle(settlement);
      // More may have been delivered meanwhile.
      if (this.#owed.get(name) === settlement) this.#owed.delete(name);
    }
    await this.#store.repair();
  }

  /**
   * Gives back pictures that `takePictures` counted for a holder that is gone, once for each `once`.
   * `counter` is as `monthCounter` names it.
   * @throws {StoreAwayError} so that the caller tries again
   */
  async returnPictures({ counter, count, once }: ReturnedPictures): Promise<void> {
    const take = { counter, amount: -count, limit: 0, ttlMs: MONTH_MS, once };
    await this.#store.take(take);
    await this.#own.take(take);
  }

  /** Never rejects. */
  async #charge(charge: Charge): Promise<{ ok: boolean }> {
    const { counter } = charge;
    try {
      const shared = await this.#store.charge(charge);
      const amount = shared.used - await this.#own.used(counter);
      await this.#own.take({ counter, amount, limit: Infinity, ttlMs: MONTH_MS });
      return shared;
    } catch (cause) {
      this.#log("warn", "limits are per instance: key store is away", { error: String(cause) });
      return await this.#own.charge(charge);
    }
  }

  /** Never rejects. */
  async #take(take: Take): Promise<Taken> {
    const own = await this.#own.take(take);
    // A minute's requests are never given back; pictures may be, through any other process.
    if (!own.ok && take.previous !== undefined) return own;
    try {
      const shared = await this.#store.take(take);
      if (take.previous === undefined) {
        await this.#own.take({ ...take, amount: shared.used - own.used, limit: Infinity });
      } else if (!shared.ok) await this.#own.take({ ...take, amount: -take.amount });
      return shared;
    } catch (cause) {
      this.#log("warn", "limits are per instance: key store is away", { error: String(cause) });
      return own;
    }
  }
}

/** The counter of the pictures that a key was given in the month of `at`. */
export function monthCounter(id: string, at: Date): string {
  return `pictures:${id}:${at.toISOString().slice(0, 7)}`;
}

function tooFewLeft(limit: number, now: Date): ApiError {
  const nextMonth = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1);
  return new ApiError(429, `This API key may have ${limit} pictures a month: too few of them are left`, {
    code: "insufficient_quota",
    retryAfter: Math.ceil((nextMonth - now.getTime()) / 1000),
  });
}

/** Minutes until one more request fits, if none comes in between. */
function waitMinutes({ used, before }: Taken, { limit, passed }: { limit: number; passed: number }): number {
  // The weight of the window before must fall to `free / before`: still in this minute, or in the next.
  const free = limit - used - 1;
  return free >= 0 ? 1 - free / before - passed : 1 - passed + 1 - (limit - 1) / used;
}
