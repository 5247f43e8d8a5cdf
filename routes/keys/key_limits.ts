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
  /**
   * Milliseconds after the store went away in which a picture waits for its count, as an edge that dies
   * could not count it later.
   * @default 10000
   */
  patienceMs?: number;
}

/** Pictures that are counted under an id. */
export type ChargedPictures = Pick<Charge, "id" | "holder" | "counter">;

const MINUTE_MS = 60_000;
/** Milliseconds of silence of an edge after which the pictures of its requests are given back. */
const LEASE_MS = 30_000;
/** Interval in milliseconds at which an edge reports the requests that it works on. */
const RENEW_MS = 8000;
/** Milliseconds between two tries of a picture that waits for its count. */
const RETRY_MS = 250;
/** Largest number of settlements that wait for the store. */
const MAX_OWED = 10_000;

/**
 * Counts here first, then in the store. This instance's own count is enough to refuse a flood of requests.
 * While the store is away, its counts of pictures hold their limit.
 */
export class KeyLimits {
  readonly #store: CounterStore;
  readonly #own = new MemoryCounters();
  /** Requests that this edge works on, by id and holder. */
  readonly #held = new Map<string, ChargedPictures>();
  #renewedAt = -Infinity;
  /** Deliveries while the store was away, by id and holder. */
  readonly #owed = new Map<string, Settlement>();
  readonly #log: Log;
  readonly #now: () => number;
  readonly #patienceMs: number;
  /** Time of the first count that the store did not take since the last one that it took. */
  #awayAt: number | undefined;

  constructor({ store, log, now = () => Date.now(), patienceMs = 10_000 }: KeyLimitsOptions) {
    this.#store = store;
    this.#log = log;
    this.#now = now;
    this.#patienceMs = patienceMs;
  }

  /** Counts a request against the key's requests per minute. @throws {ApiError} 429 rate_limit_exceeded */
  async takeRequest({ id, requests_per_minute: limit }: KeyRecord): Promise<void> {
    if (limit === null) return;
    const now = this.#now();
    const minute = Math.floor(now / MINUTE_MS);
    const passed = (now % MINUTE_MS) / MINUTE_MS;
    const taken = await this.#take({
      counter: `requests:${id}:${minute}`,
      // The share of the last sixty seconds that lies in the minute before counts as if its
      // requests had come evenly.
      previous: { counter: `requests:${id}:${minute - 1}`, weight: 1 - passed },
      amount: 1,
      limit,
      ttlMs: 2 * MINUTE_MS,
    });
    if (taken.ok) return;
    throw new ApiError(429, `This API key may send ${limit} requests a minute`, {
      code: "rate_limit_exceeded",
      // One millisecond more, against rounding.
      retryAfter: Math.ceil(waitMinutes(taken, { limit, passed }) * 60 + 0.001),
    });
  }

  /** Returns whether pictures count for this key. */
  countsPictures(key: KeyRecord | undefined): boolean {
    return typeof key?.pictures_per_month === "number";
  }

  /**
   * Counts `count` pictures under an id, all or none, once for all requests that come with the id. They stay
   * counted until `settlePictures` ends the holder, or until this edge is silent for a while.
   * @returns null: this key has no limit
   * @throws {ApiError} 429 insufficient_quota
   */
  async chargePictures(
    key: KeyRecord | undefined,
    { id, holder, count }: { id: string; holder: string; count: number },
  ): Promise<ChargedPictures | null> {
    const limit = key?.pictures_per_month ?? null;
    if (key === undefined || limit === null) return null;
    const now = new Date(this.#now());
    const counter = monthCounter(key.id, now);
    const charge = { id, holder, counter, amount: count, limit, leaseMs: LEASE_MS };
    const charged = await this.#charge(charge);
    if (!charged.ok) throw tooFewLeft(limit, now);
    const held = { id, holder, counter };
    this.#held.set(nameOf(held), held);
    return held;
  }

  /** Leaves a holder to others, such as a job's keeper, which report from now on that it lives. */
  handOver(charged: ChargedPictures): void {
    this.#held.delete(nameOf(charged));
  }

  /**
   * Reports that a holder lives whose request this edge does not work on.
   * @throws {StoreAwayError} so that the caller tries again
   */
  async holdPictures(charged: ChargedPictures, leaseMs: number): Promise<void> {
    await this.#store.renew([charged], leaseMs);
  }

  /**
   * Reports that a holder lives that has no charge at this edge. If its count is lost, its pictures are
   * counted again whatever the limit, as they were promised.
   * @throws {StoreAwayError} so that the caller tries again
   */
  async adoptPictures(
    charged: ChargedPictures,
    { count, leaseMs }: { count: number; leaseMs: number },
  ): Promise<void> {
    await this.#store.charge({ ...charged, amount: count, limit: Number.MAX_SAFE_INTEGER, leaseMs });
  }

  /**
   * Settles counted pictures. Never rejects: `repair` repeats what the store does not take within a few
   * seconds of its outage.
   */
  async settlePictures(settlement: Settlement): Promise<void> {
    if (settlement.done !== "no") this.#held.delete(nameOf(settlement));
    try {
      await this.#settle(settlement);
    } catch (cause) {
      this.#log("warn", "pictures are counted later: key store is away", { error: String(cause) });
      await this.#own.settle(settlement);
      const name = nameOf(settlement);
      const { delivered = [], done = "no" } = this.#owed.get(name) ?? {};
      this.#owed.set(name, {
        ...settlement,
        delivered: [...new Set([...delivered, ...settlement.delivered])],
        done: settlement.done === "no" ? done : settlement.done,
      });
      if (this.#owed.size > MAX_OWED) this.#owed.delete(this.#owed.keys().next().value!);
    }
  }

  /** Settles a job or a batch at its end. @throws {StoreAwayError} so that the caller tries again */
  async closePictures(charged: ChargedPictures, delivered: readonly number[], made = 0): Promise<void> {
    await this.#store.settle({ ...charged, delivered, made, done: "all" });
  }

  /**
   * Reports which requests live, repeats settlements that the store has not taken, and gives back the
   * pictures that dead requests did not deliver.
   * @throws while the store is away
   */
  async repair(): Promise<void> {
    const now = this.#now();
    if (Math.abs(now - this.#renewedAt) >= RENEW_MS) {
      await this.#store.renew([...this.#held.values()], LEASE_MS);
      this.#renewedAt = now;
    }
    for (const [name, settlement] of this.#owed) {
      await this.#store.settle(settlement);
      // More may have been delivered meanwhile.
      if (this.#owed.get(name) === settlement) this.#owed.delete(name);
    }
    await this.#store.repair();
  }

  /** @throws what the store throws, once it has been away for a while */
  async #settle(settlement: Settlement): Promise<void> {
    for (;;) {
      try {
        await this.#store.settle(settlement);
        this.#awayAt = undefined;
        return;
      } catch (cause) {
        const now = this.#now();
        this.#awayAt ??= now;
        if (settlement.delivered.length === 0 || now - this.#awayAt >= this.#patienceMs) throw cause;
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
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
    // A minute's requests are never given back, so that nothing has changed elsewhere.
    if (!own.ok) return own;
    try {
      const shared = await this.#store.take(take);
      if (!shared.ok) await this.#own.take({ ...take, amount: -take.amount });
      return shared;
    } catch (cause) {
      this.#log("warn", "limits are per instance: key store is away", { error: String(cause) });
      return own;
    }
  }
}

function nameOf({ id, holder }: Pick<Charge, "id" | "holder">): string {
  return `${id} ${holder}`;
}

/** Returns the counter of the pictures that a key was given in the month of `at`. */
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
