// One process's connection to Redis over REST. Every call has a deadline, and no call waits for a store that
// is known to be away.
import type { Redis } from "@upstash/redis/cloudflare";
import { redisClient, type RedisClientOptions } from "./redis_client.ts";
import { StoreAwayError } from "./store_away_error.ts";
import { StoreFullError } from "./store_full_error.ts";

export interface RedisLinkOptions extends RedisClientOptions {
  /** Milliseconds between probes of a store that is away. @default 1000 */
  pauseMs?: number;
}

/**
 * A call that fails marks the store as away. Later calls are refused at once. Calls under way wait to the end
 * of their deadline, so no request waits twice. As long as calls come, a probe of the link's own finds out
 * when the store is back. After a pause without calls, the next call finds out.
 */
export class RedisLink {
  readonly url: string;
  readonly token: string;
  readonly #redis: Redis;
  readonly #alone: Redis;
  readonly #pauseMs: number;
  readonly #listeners = new Set<() => void>();
  #away = false;
  /** Number of times that the store went away. */
  #outages = 0;
  /** Time at which it went away, in milliseconds from any origin. Undefined while it answers. */
  #awaySince: number | undefined;
  /** Resolves at the next probe that finds the store back. */
  #back = Promise.withResolvers<void>();
  #waiting = 0;
  /** Whether a call was refused since the last probe. */
  #wanted = false;

  constructor({ pauseMs = 1000, ...options }: RedisLinkOptions) {
    this.url = options.url;
    this.token = options.token;
    this.#redis = redisClient(options);
    this.#alone = redisClient({ ...options, together: false });
    this.#pauseMs = pauseMs;
  }

  /**
   * Sends a command to the store.
   * @param alone whether the command goes in a request of its own: several large ones in one
   * request pass the store's limit
   * @param waitMs how long after the store went away the command waits for its return. It
   * may be carried out twice.
   * @throws {StoreAwayError} at once while the store is known to be away
   * @throws {StoreFullError} for a write that it does not take now; else what Redis says of the command
   */
  async ask<T>(command: (redis: Redis) => Promise<T>, { alone = false, waitMs = 0 } = {}): Promise<T> {
    if (this.#away && !await this.#isBack(waitMs)) {
      this.#wanted = true;
      throw new StoreAwayError();
    }
    const outages = this.#outages;
    try {
      const answer = await command(alone ? this.#alone : this.#redis);
      this.#awaySince = undefined;
      return answer;
    } catch (cause) {
      const error = withoutCommand(cause);
      // Reads go on, and the next write finds out by itself.
      if (isRefusedWrite(error)) throw new StoreFullError(error);
      if (isReply(error)) throw error;
      // A call from before an outage may fail after it, which says nothing new.
      if (outages === this.#outages) this.#leave();
      if (await this.#isBack(waitMs)) return await this.ask(command, { alone, waitMs });
      throw new StoreAwayError(error);
    }
  }

  /** Resolves to whether the store answers. */
  async ping(): Promise<boolean> {
    return await this.ask((redis) => redis.ping()).then(() => true, () => false);
  }

  /**
   * Calls `listener` whenever a store that was away is asked again: what it knew of connections may be lost.
   */
  returns(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  /** Waits until the store is back, or has been away for `waitMs`. */
  async #isBack(waitMs: number): Promise<boolean> {
    const leftMs = waitMs - (performance.now() - (this.#awaySince ?? 0));
    if (this.#away && leftMs > 0) {
      this.#waiting++;
      const late = Promise.withResolvers<void>();
      const timer = setTimeout(late.resolve, leftMs);
      await Promise.race([this.#back.promise, late.promise]);
      clearTimeout(timer);
      this.#waiting--;
    }
    return waitMs > 0 && !this.#away;
  }

  #leave(): void {
    this.#awaySince ??= performance.now();
    this.#away = true;
    this.#outages++;
    this.#lookLater();
  }

  #lookLater(): void {
    this.#wanted = false;
    Deno.unrefTimer(setTimeout(async () => {
      // If nobody has asked meanwhile, the probe stops, and the next caller finds out.
      const isBack = !this.#wanted && this.#waiting === 0 ||
        await this.#redis.ping().then(() => true, isReply);
      if (!isBack) return this.#lookLater();
      this.#away = false;
      this.#back.resolve();
      this.#back = Promise.withResolvers();
      for (const listener of this.#listeners) listener();
    }, this.#pauseMs));
  }
}

/** Redis' own errors begin with a code. Errors of a proxy before it do not. */
function isReply(cause: unknown): boolean {
  return cause instanceof Error && /^(Command failed: )?(ERR|WRONGTYPE|NOSCRIPT)\b/.test(cause.message);
}

/**
 * Errors of a store that is full, a replica, or cannot save. Older versions report them from within a script.
 */
function isRefusedWrite({ message }: Error): boolean {
  return /^(Command failed: )?(ERR .* -)?(OOM|READONLY|MISCONF|NOREPLICAS) /.test(message);
}

/** The client's errors repeat the command, with prompts and pictures that must not get into a log. */
function withoutCommand(cause: unknown): Error {
  const { message } = cause instanceof Error ? cause : new Error(String(cause));
  return new Error(message.replace(/, command was: .*$/s, ""));
}
