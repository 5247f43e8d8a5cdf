// A real redis-server behind the adapter of deploy/, in this process, for tests.
import type { Redis } from "ioredis";
import { ChannelHub } from "../../deploy/redis_rest/channel_hub.ts";
import { openRedis } from "../../deploy/redis_rest/open_redis.ts";
import { createRedisRestApp } from "../../deploy/redis_rest/redis_rest_app.ts";
import { startRedisServer } from "../../deploy/redis_rest/redis_server.ts";
import { skipWithout } from "../installed.ts";

/** For `describe`: why tests with Redis are skipped, or false. */
export const WITHOUT_REDIS: string | false = skipWithout("redis-server");

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

export interface RestRedisOptions {
  /** The port by which the adapter reaches redis-server. @default its own */
  through?: (port: number) => Promise<number>;
}

export async function startRestRedis({ through }: RestRedisOptions = {}): Promise<RestRedis> {
  let server = await startRedisServer();
  const port = await through?.(server.port) ?? server.port;
  const connections = openRedis(`redis://127.0.0.1:${port}`);
  const { redis, subscriber, ready } = connections;
  await ready;
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
      connections[Symbol.dispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}
