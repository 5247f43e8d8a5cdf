// The adapter's two connections to Redis: one for commands, one for channels. Both notice when the other side
// has fallen silent, and come back by themselves.
import { Redis } from "ioredis";
import { STORE_DEADLINE_MS } from "../../protocol/store/redis_client.ts";

export interface RedisConnections extends Disposable {
  redis: Redis;
  /** The connection for subscriptions alone. */
  subscriber: Redis;
  /** Whether both are connected. */
  ready: Promise<unknown>;
}

/** Interval in milliseconds at which a quiet channel is asked for a sign of life. */
const PING_MS = 5000;

export function openRedis(url: string): RedisConnections {
  const options = {
    // A command that waits for Redis to come back would be carried out long after its caller has given up.
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    // An answer that takes longer has no reader: the connection is given up, with what waits on it.
    socketTimeout: STORE_DEADLINE_MS,
    connectTimeout: STORE_DEADLINE_MS,
    retryStrategy: (attempts: number) => Math.min(attempts * 50, 500),
  };
  const redis = new Redis(url, options);
  const subscriber = new Redis(url, options);
  redis.on("error", (error) => console.error(`redis: ${error.message}`));
  // The other connection reports the same error.
  subscriber.on("error", () => {});
  const timer = setInterval(() => subscriber.ping().catch(() => {}), PING_MS);
  Deno.unrefTimer(timer as unknown as number);
  const isReady = (connection: Redis) => new Promise((resolve) => connection.once("ready", resolve));
  return {
    redis,
    subscriber,
    ready: Promise.all([isReady(redis), isReady(subscriber)]),
    [Symbol.dispose]() {
      clearInterval(timer);
      redis.disconnect();
      subscriber.disconnect();
    },
  };
}
