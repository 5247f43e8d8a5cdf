// The edge, built from its environment: what `deno serve` and Deno Deploy serve, and main.ts as well.
import { type Log, structuredLog } from "../protocol/structured_log.ts";
import { createApp } from "./app.ts";
import { type EdgeConfig, readEdgeConfig } from "./edge_config.ts";
import { MemoryKeyStore } from "./keys/memory_key_store.ts";
import { RedisKeyStore } from "./keys/redis_key_store.ts";
import { MemoryResultStore } from "./results/memory_result_store.ts";
import { RedisResultStore } from "./results/redis_result_store.ts";
import { WorkerClient } from "./runs/worker_client.ts";

export const log: Log = structuredLog({ process: "edge" });
export const config: EdgeConfig = readEdgeConfig((name) => Deno.env.get(name));

const app = createApp({
  worker: new WorkerClient({ url: config.workerUrl, secret: config.workerSecret }),
  results: config.redis ? new RedisResultStore({ ...config.redis, log }) : new MemoryResultStore(),
  keys: config.keys,
  keyStore: config.redis ? new RedisKeyStore(config.redis) : new MemoryKeyStore(),
  log,
  corsOrigins: config.corsOrigins,
  urlSecret: config.urlSecret,
  publicUrl: config.publicUrl,
});

log("info", "configured", {
  worker: new URL(config.workerUrl).origin,
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
