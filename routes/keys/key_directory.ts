// Knows which keys are valid. An edge remembers each answer of the store for a time that is short enough for
// revocations.
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
/**
 * Milliseconds after the store went away for which an edge without any answer waits for it, such as one that
 * has just started.
 */
const FIRST_WAIT_MS = 5000;

interface Entry {
  record: KeyRecord | undefined;
  /** Time of the question, not of the answer. */
  at: number;
}

export class KeyDirectory {
  readonly #options: Required<KeyDirectoryOptions>;
  /** Known keys, apart from unknown ids, so that a flood of guesses makes no key forgotten. */
  readonly #known = new LRUCache<string, Entry & { record: KeyRecord }>(atMost(REMEMBERED));
  readonly #unknown = new LRUCache<string, Entry>(atMost(REMEMBERED));
  #emptiness: { isEmpty: boolean; at: number } | undefined;
  /** Questions under way. Equal questions that come meanwhile get the same answer. */
  readonly #finding = new Map<string, Promise<KeyRecord | undefined>>();
  #askingEmpty: Promise<boolean> | undefined;

  constructor(options: KeyDirectoryOptions) {
    this.#options = {
      knownMs: 30_000,
      unknownMs: 5000,
      awayMs: 600_000,
      now: () => performance.now(),
      ...options,
    };
  }

  /**
   * Returns the record of a key, revoked or not.
   * @throws {ApiError} 503 if the store is away and did not tell in time
   */
  async find(id: string): Promise<KeyRecord | undefined> {
    const { knownMs, unknownMs, now } = this.#options;
    const entry = this.#known.get(id) ?? this.#unknown.get(id);
    const at = now();
    if (entry !== undefined && at - entry.at < (entry.record ? knownMs : unknownMs)) return entry.record;
    const finding = this.#finding.get(id) ??
      this.#find(id, { entry, at }).finally(() => this.#finding.delete(id));
    this.#finding.set(id, finding);
    return await finding;
  }

  async #find(
    id: string,
    { entry, at }: { entry: Entry | undefined; at: number },
  ): Promise<KeyRecord | undefined> {
    const { store, awayMs } = this.#options;
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
   * Returns whether there was never any key. While the store is away, its last answer counts, and an edge
   * that has never asked waits for it. An edge that has seen keys notes this in the store from time to time:
   * a store that was emptied opens no other edge, nor this one once it is restarted.
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
    this.#askingEmpty ??= this.#askEmpty(at).finally(() => this.#askingEmpty = undefined);
    return await this.#askingEmpty;
  }

  async #askEmpty(at: number): Promise<boolean> {
    try {
      const isEmpty = await this.#options.store.isEmpty(this.#emptiness ? {} : { waitMs: FIRST_WAIT_MS });
      this.#emptiness = { isEmpty, at };
      return isEmpty;
    } catch (cause) {
      if (this.#emptiness !== undefined) return this.#emptiness.isEmpty;
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
