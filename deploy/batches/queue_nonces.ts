// Nonces of signed calls in the queue's Redis: one memory for all processes of a service, which
// outlives their restarts.
import type { Redis } from "ioredis";
import type { Nonces, NonceState } from "../../protocol/http/nonce_store.ts";
import { PREFIX } from "./batch_keys.ts";

const INSTANCE = `${PREFIX}instance`;

/** ARGV: key, ms to keep it. A full Redis takes nonces all the same: calls that end work must reach it. */
const NOTE = `#!lua flags=allow-oom
return redis.call('SET', ARGV[1], 1, 'NX', 'PX', ARGV[2])`;

export class QueueNonces implements Nonces {
  readonly #redis: Redis;
  readonly #now: () => number;
  readonly #waitMs: number;
  #instance: string | undefined;
  #asking: Promise<void> | undefined;

  /** @param options.waitMs how long the first call waits for the queue's Redis. @default 1500 */
  constructor({ redis, now = Date.now, waitMs = 1500 }: {
    redis: Redis;
    now?: () => number;
    waitMs?: number;
  }) {
    this.#redis = redis;
    this.#now = now;
    this.#waitMs = waitMs;
  }

  /**
   * Names the queue, and with it these nonces. A process that has just started waits a moment for its Redis
   * to say it, as its first call would otherwise be refused. Undefined if Redis is away. Each call asks.
   */
  async name(): Promise<string | undefined> {
    this.#asking ??= this.#ask().catch(() => {}).finally(() => this.#asking = undefined);
    if (this.#instance !== undefined) return this.#instance;
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, this.#waitMs);
    await Promise.race([this.#asking, late.promise]);
    clearTimeout(timer);
    return this.#instance;
  }

  /** Notes a nonce until it expires. @throws {Error} while Redis is away */
  async add(nonce: string, expiresAt: number): Promise<NonceState> {
    // Longer than any process takes the call for fresh.
    const keepMs = Math.max(1, expiresAt - this.#now()) + 60_000;
    const noted = await this.#redis.eval(NOTE, 0, `${PREFIX}nonce:${nonce}`, keepMs);
    return noted === null ? "replayed" : "new";
  }

  /** Reads the queue's name. A queue that has lost its data, and so its nonces, gets another one. */
  async #ask(): Promise<void> {
    await this.#redis.set(INSTANCE, crypto.randomUUID(), "NX");
    this.#instance = await this.#redis.get(INSTANCE) ?? undefined;
  }
}
