// Creates an edge's parts from its configuration.
import { tryGetContext } from "hono/context-storage";
import { RedisLink } from "../protocol/store/redis_link.ts";
import { MemoryResultStore } from "../protocol/store/results/memory_result_store.ts";
import { RedisResultStore } from "../protocol/store/results/redis_result_store.ts";
import { RedisRunLog } from "../protocol/store/run_log/redis_run_log.ts";
import type { Log } from "../protocol/process/structured_log.ts";
import type { AppOptions } from "./app.ts";
import { BatchClient } from "./batches/batch_client.ts";
import type { EdgeConfig } from "./edge_config.ts";
import { MemoryKeyStore } from "./keys/memory_key_store.ts";
import { RedisKeyStore } from "./keys/redis_key_store.ts";
import type { Environment } from "./middleware/environment.ts";
import { FallbackStateStore } from "./state/fallback_state_store.ts";
import { RedisStateStore } from "./state/redis_state_store.ts";
import { WorkerClient } from "./runs/worker_client.ts";
import { WorkerPool } from "./runs/worker_pool.ts";

export function edgeOptions(config: EdgeConfig, log: Log): AppOptions {
  const { workerSecret: secret, redis, batchesUrl } = config;
  // Workers log which request a call is for.
  const requestId = () => tryGetContext<Environment>()?.var.requestId;
  const workers = config.workerUrls.map((url) => new WorkerClient({ url, secret, requestId }));
  const link = redis && new RedisLink(redis);
  return {
    workers: new WorkerPool({ workers, log }),
    store: link,
    results: link ? new RedisResultStore({ link, log }) : new MemoryResultStore(),
    ...link && {
      runs: new RedisRunLog(link),
      state: new FallbackStateStore({ shared: new RedisStateStore(link), log }),
    },
    webhooks: config.webhooks,
    keys: config.keys,
    keyStore: link ? new RedisKeyStore(link) : new MemoryKeyStore(),
    log,
    aliases: config.aliases,
    corsOrigins: config.corsOrigins,
    batches: batchesUrl === undefined ? undefined : new BatchClient({ url: batchesUrl, secret }),
    urlSecret: config.urlSecret,
    publicUrl: config.publicUrl,
  };
}
