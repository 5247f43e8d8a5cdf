// `deno task redis`: Upstash's REST interface on this machine, before a redis-server of
// its own or the one named.
import { listen } from "../../protocol/process/listen.ts";
import { readFlags } from "../../protocol/process/read_flags.ts";
import { UsageError } from "../../protocol/process/usage_error.ts";
import { ChannelHub } from "./channel_hub.ts";
import { openRedis } from "./open_redis.ts";
import { createRedisRestApp } from "./redis_rest_app.ts";
import { startRedisServer } from "./redis_server.ts";

const HELP = `Usage: deno task redis [options]

  --host H --port N    where to listen (127.0.0.1, 8079); port 0 takes a free one
  --redis URL          use this server, redis://HOST:PORT; otherwise redis-server is started, in memory
  --token TEXT         what clients must send (SPECTRUM_REDIS_TOKEN, or drawn and printed)
`;

if (import.meta.main) {
  await main().catch((error) => {
    console.error(`redis: ${error instanceof Error ? error.message : error}`);
    Deno.exit(error instanceof UsageError ? 2 : 1);
  });
}

async function main(): Promise<void> {
  const flags = readFlags(Deno.args, {
    "host": "text",
    "port": "number",
    "redis": "text",
    "token": "text",
    "help": "switch",
  });
  if (flags.help) return console.log(HELP);
  const own = flags.redis === undefined ? await startOwnServer() : undefined;
  const connections = openRedis(own?.url ?? flags.redis!);
  const { redis, subscriber, ready } = connections;
  const token = flags.token ?? Deno.env.get("SPECTRUM_REDIS_TOKEN") ??
    crypto.getRandomValues(new Uint8Array(24)).toHex();

  await Promise.race([ready, new Promise((resolve) => setTimeout(resolve, 2000))]);
  const stop = async () => {
    connections[Symbol.dispose]();
    await own?.[Symbol.asyncDispose]();
  };
  const address = { hostname: flags.host ?? "127.0.0.1", port: flags.port ?? 8079 };
  const server = await Promise.try(listen, {
    ...address,
    onListen() {},
  }, createRedisRestApp({ redis, channels: new ChannelHub(subscriber), token }).fetch).catch(
    async (error) => {
      await stop();
      throw error;
    },
  );

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, async () => {
      // Subscriptions do not end by themselves.
      await Promise.race([server.shutdown(), new Promise((resolve) => setTimeout(resolve, 1000))]);
      await stop();
      Deno.exit(0);
    });
  }
  // Who reads this may send a signal at once.
  const { hostname, port } = server.addr;
  console.log(`UPSTASH_REDIS_REST_URL=http://${hostname}:${port} UPSTASH_REDIS_REST_TOKEN=${token}`);
}

async function startOwnServer() {
  try {
    return await startRedisServer();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.error(
      "redis: redis-server is not installed (Debian: apt-get install redis-server); --redis URL uses another",
    );
    Deno.exit(1);
  }
}
