// The edge, built from its environment: what `deno serve` and Deno Deploy serve, and main.ts as well.
import { RedisLink } from "../protocol/redis_link.ts";
import { MemoryResultStore } from "../protocol/results/memory_result_store.ts";
import { RedisResultStore } from "../protocol/results/redis_result_store.ts";
import { RedisRunLog } from "../protocol/run_log/redis_run_log.ts";
import { type Log, structuredLog } from "../protocol/structured_log.ts";
import { createApp } from "./app.ts";
import { type EdgeConfig, readEdgeConfig } from "./edge_config.ts";
import { MemoryKeyStore } from "./keys/memory_key_store.ts";
import { RedisKeyStore } from "./keys/redis_key_store.ts";
import { WorkerClient } from "./runs/worker_client.ts";
import { WorkerPool } from "./runs/worker_pool.ts";

export const log: Log = structuredLog({ process: "edge" });
export const config: EdgeConfig = readEdgeConfig((name) => Deno.env.get(name));

/** Aborted by the process that serves this once it is told to stop. */
export const stopping = new AbortController();

const workers = config.workerUrls.map((url) => new WorkerClient({ url, secret: config.workerSecret }));
const link = config.redis && new RedisLink(config.redis);

const app = createApp({
  workers: new WorkerPool({ workers, log }),
  store: link,
  results: link ? new RedisResultStore({ link, log }) : new MemoryResultStore(),
  ...link && { runs: new RedisRunLog(link) },
  keys: config.keys,
  keyStore: config.redis ? new RedisKeyStore(config.redis) : new MemoryKeyStore(),
  log,
  corsOrigins: config.corsOrigins,
  urlSecret: config.urlSecret,
  publicUrl: config.publicUrl,
  stopping: stopping.signal,
});

log("info", "configured", {
  workers: config.workerUrls,
  results: config.redis ? "redis" : "memory",
  access: [
    ...config.keys.length > 0 ? [`${config.keys.length} API keys`] : [],
    ...config.redis ? ["keys of the store"] : [],
    ...config.keys.length === 0 ? ["loopback clients as long as there are no keys"] : [],
  ].join(", "),
});

export default {
  fetch: (request, info) => app.fetch(request, info),
} satisfies Deno.ServeDefaultExport;
