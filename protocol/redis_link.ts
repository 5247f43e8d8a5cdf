// One process's way to Redis over REST: every call has a deadline, and a store that is away is not waited for twice.
import type { Redis } from "@upstash/redis/cloudflare";
import { redisClient, type RedisClientOptions } from "./redis_client.ts";

export interface RedisLinkOptions extends RedisClientOptions {
  /** After a failure, calls are refused at once for so long. @default 1000 */
  pauseMs?: number;
  /** Milliseconds from any origin. @default performance.now */
  now?: () => number;
}

export class RedisLink {
  readonly url: string;
  readonly token: string;
  readonly #redis: Redis;
  readonly #pauseMs: number;
  readonly #now: () => number;
  #awayUntil = -Infinity;
  #failed = false;

  constructor({ pauseMs = 1000, now = () => performance.now(), ...options }: RedisLinkOptions) {
    this.url = options.url;
    this.token = options.token;
    this.#redis = redisClient(options);
    this.#pauseMs = pauseMs;
    this.#now = now;
  }

  /** Whether the last call failed. */
  get away(): boolean {
    return this.#failed;
  }

  /** @throws what the store or the way to it throws; at once while the store was away a moment ago */
  async ask<T>(command: (redis: Redis) => Promise<T>): Promise<T> {
    if (this.#now() < this.#awayUntil) throw new Error("The store was away a moment ago");
    try {
      const answer = await command(this.#redis);
      this.#failed = false;
      return answer;
    } catch (cause) {
      // What Redis itself says of a command is an answer.
      if (!isReply(cause)) {
        this.#failed = true;
        this.#awayUntil = this.#now() + this.#pauseMs;
      }
      throw cause;
    }
  }

  /** Resolves to whether the store answers. */
  async ping(): Promise<boolean> {
    return await this.ask((redis) => redis.ping()).then(() => true, () => false);
  }
}

/** Redis' own words begin with a code; those of what lies before it do not. */
function isReply(cause: unknown): boolean {
  return cause instanceof Error && cause.name === "UpstashError" &&
    /^(ERR|WRONGTYPE|NOSCRIPT)\b/.test(cause.message);
}
