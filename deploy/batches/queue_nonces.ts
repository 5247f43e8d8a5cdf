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
  #instance: string | undefined;
  #asking: Promise<void> | undefined;

  constructor({ redis, now = Date.now }: { redis: Redis; now?: () => number }) {
    this.#redis = redis;
    this.#now = now;
  }

  /**
   * Names the queue, and with it these nonces. Undefined until its Redis has said it:
   * the next call asks again.
   */
  get instance(): string | undefined {
    this.#asking ??= this.#ask().catch(() => {}).finally(() => this.#asking = undefined);
    return this.#instance;
  }

  /** @throws {Error} while Redis is away */
  async add(nonce: string, expiresAt: number): Promise<NonceState> {
    // Longer than any process takes the call for fresh.
    const keepMs = Math.max(1, expiresAt - this.#now()) + 60_000;
    const noted = await this.#redis.eval(NOTE, 0, `${PREFIX}nonce:${nonce}`, keepMs);
    return noted === null ? "replayed" : "new";
  }

  /** A queue that has lost its data has lost its nonces, and gets another name. */
  async #ask(): Promise<void> {
    await this.#redis.set(INSTANCE, crypto.randomUUID(), "NX");
    this.#instance = await this.#redis.get(INSTANCE) ?? undefined;
  }
}
