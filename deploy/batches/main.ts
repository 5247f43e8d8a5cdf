// `deno task batches`: keeps batches in a Redis of their own, and makes their pictures as workers are free.
// Any number of these processes share the work; one beside each worker is the usual arrangement.
import { Redis } from "ioredis";
import { assertGuarded } from "../../protocol/process/assert_guarded.ts";
import { bypassProxy } from "../../protocol/process/bypass_proxy.ts";
import { listen } from "../../protocol/process/listen.ts";
import { readFlags } from "../../protocol/process/read_flags.ts";
import { UsageError } from "../../protocol/process/usage_error.ts";
import { type Log, structuredLog } from "../../protocol/process/structured_log.ts";
import { readWorkerSecret } from "../../protocol/process/worker_secret.ts";
import { RedisLink } from "../../protocol/store/redis_link.ts";
import { readEdgeConfig } from "../../routes/edge_config.ts";
import { KeyLimits } from "../../routes/keys/key_limits.ts";
import { RedisKeyStore } from "../../routes/keys/redis_key_store.ts";
import { Webhooks } from "../../routes/jobs/webhooks.ts";
import { createBatchApp } from "./batch_app.ts";
import { BatchKeeper } from "./batch_keeper.ts";
import { BatchMetrics } from "./batch_metrics.ts";
import { BatchPuller } from "./batch_puller.ts";
import { BatchWebhooks } from "./batch_webhooks.ts";
import { BatchStore } from "./batch_store.ts";
import { FileStore } from "./file_store.ts";
import { openEdge } from "./open_edge.ts";
import { QueueNonces } from "./queue_nonces.ts";
import { RequestQueue } from "./request_queue.ts";

const HELP = `Usage: deno task batches [options]

  --host H --port N    where edges reach it (127.0.0.1, 8002); port 0 takes a free one
  --redis URL          the queue's Redis, with maxmemory-policy noeviction (SPECTRUM_QUEUE_REDIS_URL, or
                       redis://127.0.0.1:6379)
  --concurrency N      requests under way at once in this process (2); with 0 it keeps batches and
                       makes no pictures
  --lock-ms N          a process not heard of for so long is dead, and others take its requests (30000)

Workers and stores are named as for the edge: SPECTRUM_WORKERS, SPECTRUM_WORKER_SECRET,
UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN.
`;

if (import.meta.main) main();

function main(): void {
  try {
    serve();
  } catch (error) {
    console.error(`batches: ${error instanceof Error ? error.message : error}`);
    Deno.exit(error instanceof UsageError ? 2 : 1);
  }
}

function serve(): void {
  const flags = readFlags(Deno.args, {
    "host": "text",
    "port": "text",
    "redis": "text",
    "concurrency": "text",
    "lock-ms": "text",
    "help": "switch",
  });
  if (flags.help) return console.log(HELP);
  const host = flags.host ?? "127.0.0.1";
  const env = (name: string) => Deno.env.get(name);
  const secret = readWorkerSecret(env);
  assertGuarded(host, secret);
  const config = readEdgeConfig(env);
  bypassProxy({ urls: config.workerUrls });
  const log = structuredLog({ process: "batches" });
  const redis = new Redis(flags.redis ?? env("SPECTRUM_QUEUE_REDIS_URL") ?? "redis://127.0.0.1:6379", {
    // Work under way waits for a Redis that is away instead of being lost with it.
    maxRetriesPerRequest: null,
  });
  redis.on("error", (error) => log("warn", "queue is away", { error: String(error) }));
  const files = new FileStore({ redis });
  const store = new BatchStore({ redis, files });
  const queue = new RequestQueue({ redis });
  const nonces = new QueueNonces({ redis });
  const limits = config.redis &&
    new KeyLimits({ store: new RedisKeyStore(new RedisLink(config.redis)), log });
  const signed = config.webhooks && new Webhooks({ ...config.webhooks, log });
  const webhooks = new BatchWebhooks({ redis, webhooks: signed, log });
  const keeper = new BatchKeeper({ redis, files, queue, limits, log, webhooks });
  const metrics = new BatchMetrics(() => queue.counts());
  const concurrency = readNumber("concurrency", flags.concurrency ?? "2");
  const puller = concurrency === 0 ? undefined : new BatchPuller({
    queue,
    endOf: (batch) => keeper.endOf(batch),
    fetch: openEdge({ env, log }),
    log,
    concurrency,
    lockMs: readNumber("lock-ms", flags["lock-ms"] ?? "30000"),
    onSettled: (outcome) => metrics.settled(outcome),
  });
  const server = listen({
    hostname: host,
    port: readNumber("port", flags.port ?? "8002"),
    onListen() {},
  }, createBatchApp({ files, store, queue, keeper, metrics, log, secret, nonces }).fetch);
  stopOnSignals({ redis, server, puller, keeper, log });
  // Who reads this may send a signal at once.
  const { hostname, port } = server.addr;
  log("info", "listening", { url: `http://${hostname}:${port}`, pid: Deno.pid, pulls: concurrency });
}

/** Ends this process on SIGINT and SIGTERM. */
function stopOnSignals({ redis, server, puller, keeper, log }: {
  redis: Redis;
  server: Deno.HttpServer<Deno.NetAddr>;
  puller: BatchPuller | undefined;
  keeper: BatchKeeper;
  log: Log;
}): void {
  let stopping = false;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, async () => {
      // Asked twice, it goes at once: others take over what it leaves.
      if (stopping) Deno.exit(1);
      stopping = true;
      log("info", "stopping", { signal });
      // Commands wait for a Redis that is away. A process that is to end does not: others
      // take over what it leaves.
      if (redis.status !== "ready") redis.disconnect();
      redis.on("close", () => redis.disconnect());
      await Promise.all([server.shutdown(), puller?.[Symbol.asyncDispose]()]);
      await keeper[Symbol.asyncDispose]();
      redis.disconnect();
      Deno.exit(0);
    });
  }
}

function readNumber(flag: string, text: string): number {
  const number = Number(text);
  if (text.trim() !== "" && Number.isSafeInteger(number) && number >= 0) return number;
  throw new UsageError(`--${flag} takes a whole number >= 0: current value is '${text}'`);
}
