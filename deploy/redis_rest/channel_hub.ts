// Channels of Redis for any number of listeners over one connection.
import type { Redis } from "ioredis";

type Listener = (message: string) => void;

export class ChannelHub {
  readonly #redis: Redis;
  readonly #listeners = new Map<string, Set<Listener>>();

  /** @param redis a connection for this alone: one that subscribes can do nothing else */
  constructor(redis: Redis) {
    this.#redis = redis;
    redis.on("message", (channel: string, message: string) => {
      for (const listener of this.#listeners.get(channel) ?? []) listener(message);
    });
  }

  /** Resolves once messages arrive. @throws {Error} while Redis is away */
  async subscribe(channel: string, listener: Listener): Promise<Disposable> {
    const listeners = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, listeners.add(listener));
    const leave = () => {
      listeners.delete(listener);
      if (listeners.size > 0 || this.#listeners.get(channel) !== listeners) return;
      this.#listeners.delete(channel);
      this.#redis.unsubscribe(channel).catch(() => {});
    };
    try {
      await this.#redis.subscribe(channel);
    } catch (cause) {
      leave();
      throw cause;
    }
    return { [Symbol.dispose]: leave };
  }
}
