// A real redis-server behind the adapter of deploy/, in this process, for tests.
import { Redis } from "ioredis";
import { ChannelHub } from "../../deploy/redis_rest/channel_hub.ts";
import { createRedisRestApp } from "../../deploy/redis_rest/redis_rest_app.ts";
import { startRedisServer } from "../../deploy/redis_rest/redis_server.ts";

/** For `describe`: why tests with Redis are skipped, or false. */
export const WITHOUT_REDIS: string | false = hasRedis() ? false : "redis-server is not installed";

export interface RestRedis extends AsyncDisposable {
  url: string;
  token: string;
  /** The same Redis over TCP. */
  redis: Redis;
  /** redis-server dies with all it knows; the adapter stays. */
  kill(): Promise<void>;
  /** A new redis-server in the place of the old one. */
  restart(): Promise<void>;
}

export async function startRestRedis(): Promise<RestRedis> {
  let server = await startRedisServer();
  // As `deno task redis` has it.
  const redis = new Redis(server.url, { enableOfflineQueue: false, maxRetriesPerRequest: 0 });
  const subscriber = redis.duplicate({ enableOfflineQueue: true, maxRetriesPerRequest: null });
  await new Promise((resolve) => redis.once("ready", resolve));
  for (const connection of [redis, subscriber]) connection.on("error", () => {});
  const token = crypto.randomUUID();
  const app = createRedisRestApp({ redis, channels: new ChannelHub(subscriber), token });
  const stop = new AbortController();
  const http = Deno.serve({ hostname: "127.0.0.1", port: 0, signal: stop.signal, onListen() {} }, app.fetch);
  return {
    url: `http://127.0.0.1:${http.addr.port}`,
    token,
    redis,
    kill: () => server.kill(),
    async restart() {
      server = await startRedisServer(server.port);
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      redis.disconnect();
      subscriber.disconnect();
      await server[Symbol.asyncDispose]();
    },
  };
}

function hasRedis(): boolean {
  try {
    return new Deno.Command("redis-server", { args: ["--version"], stdout: "null" }).outputSync().success;
  } catch {
    return false;
  }
}
