// Which keys are valid, as one instance knows it: remembered for so long only that a revocation is felt in time.
import { LRUCache } from "lru-cache";
import { atMost } from "../../protocol/store/at_most.ts";
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { Log } from "../../protocol/process/structured_log.ts";
import type { KeyRecord, KeyStore } from "./key_store.ts";

export interface KeyDirectoryOptions {
  store: KeyStore;
  log: Log;
  /** Milliseconds for which a key is cached. A revocation takes effect within this time. @default 30000 */
  knownMs?: number;
  /** Milliseconds for which an unknown id is cached, so that guesses spare the store. @default 5000 */
  unknownMs?: number;
  /**
   * Milliseconds after its last read for which a key is cached while the store is away.
   * @default 600000
   */
  awayMs?: number;
  /** Milliseconds from any origin. @default performance.now */
  now?: () => number;
}

const REMEMBERED = 10_000;

interface Entry {
  record: KeyRecord | undefined;
  /** When it was asked for, not when the answer came. */
  at: number;
}

export class KeyDirectory {
  readonly #options: Required<KeyDirectoryOptions>;
  /** Apart from ids that are no key's: a flood of guesses makes no key forgotten. */
  readonly #known = new LRUCache<string, Entry & { record: KeyRecord }>(atMost(REMEMBERED));
  readonly #unknown = new LRUCache<string, Entry>(atMost(REMEMBERED));
  #emptiness: { isEmpty: boolean; at: number } | undefined;

  constructor(options: KeyDirectoryOptions) {
    this.#options = {
      knownMs: 30_000,
      unknownMs: 5000,
      awayMs: 600_000,
      now: () => performance.now(),
      ...options,
    };
  }

  /** The record of a key, revoked or not. @throws {ApiError} 503 if the store is away and did not tell in time */
  async find(id: string): Promise<KeyRecord | undefined> {
    const { store, knownMs, unknownMs, awayMs, now } = this.#options;
    const entry = this.#known.get(id) ?? this.#unknown.get(id);
    const at = now();
    if (entry !== undefined && at - entry.at < (entry.record ? knownMs : unknownMs)) return entry.record;
    try {
      const record = await store.find(id);
      if (record === undefined) {
        this.#unknown.set(id, { record, at });
        this.#known.delete(id);
      } else {
        this.#known.set(id, { record, at });
        this.#emptiness = { isEmpty: false, at };
      }
      return record;
    } catch (cause) {
      if (entry?.record !== undefined && at - entry.at < awayMs) return entry.record;
      throw this.#away(cause);
    }
  }

  /**
   * Whether there was never any key. While the store is away, what it said last. An edge that has seen keys notes this in the
   * store from time to time: a store that was emptied opens no other edge, nor this one once it is restarted.
   * @throws {ApiError} 503 if it never said anything
   */
  async isEmpty(): Promise<boolean> {
    const { store, knownMs, log, now } = this.#options;
    const known = this.#emptiness;
    const at = now();
    if (known !== undefined && at - known.at < knownMs) return known.isEmpty;
    // Keys are never deleted.
    if (known?.isEmpty === false) {
      known.at = at;
      store.noteKeys().catch((cause) => log("warn", "key store is away", { error: String(cause) }));
      return false;
    }
    try {
      const isEmpty = await store.isEmpty();
      this.#emptiness = { isEmpty, at };
      return isEmpty;
    } catch (cause) {
      if (known !== undefined) return known.isEmpty;
      throw this.#away(cause);
    }
  }

  #away(cause: unknown): ApiError {
    this.#options.log("warn", "key store is away", { error: String(cause) });
    return new ApiError(503, "API keys cannot be checked at present", {
      code: "key_store_unavailable",
      retryAfter: 2,
      cause,
    });
  }
}
