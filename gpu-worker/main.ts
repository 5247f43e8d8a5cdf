// The GPU process. It serves the routes of http/ for the checkpoints that the command line names.
import { hostname } from "node:os";
import { assertGuarded } from "../protocol/process/assert_guarded.ts";
import { bypassProxy } from "../protocol/process/bypass_proxy.ts";
import { enterUserFolder } from "../protocol/process/enter_user_folder.ts";
import { listen } from "../protocol/process/listen.ts";
import { type Log, structuredLog } from "../protocol/process/structured_log.ts";
import { stopWithParent } from "../protocol/process/stop_with_parent.ts";
import { UsageError } from "../protocol/process/usage_error.ts";
import { readWorkerSecret } from "../protocol/process/worker_secret.ts";
import { parseModelName } from "../protocol/wire/model_name.ts";
import { SAMPLER_VERSION } from "../sampler/mod.ts";
import { GRAPH_CACHE_FOLDER } from "./session/graph_cache_folder.ts";
import { WEIGHT_CACHE_FOLDER } from "./session/weight_store.ts";
import {
  parseWorkerArguments,
  type ServedModel,
  WORKER_HELP,
  type WorkerArguments,
} from "./http/worker_arguments.ts";
import { executeBatch } from "./http/execute_batch.ts";
import { executeRun, type ExecuteRunOptions } from "./http/execute_run.ts";
import { observeRun } from "./http/observe_run.ts";
import { ModelPool } from "./http/model_pool.ts";
import { RunQueue } from "./http/run_queue.ts";
import { openSharedRuns, type SharedRuns } from "./http/shared_runs.ts";
import { createWorkerApp } from "./http/worker_app.ts";
import { WorkerMetrics } from "./http/worker_metrics.ts";
import { describeModel } from "./model/describe_model.ts";
import { modelInfo } from "./model/model_info.ts";
import { isFile } from "./checkpoint/is_file.ts";
import { openPipeline } from "./model/open_pipeline.ts";
import { withSupportedDtype } from "./model/with_supported_dtype.ts";
import { deviceName } from "./runtime/mod.ts";

/** How long followers have, after the last run, to read its end. */
const SHUTDOWN_MS = 5000;

if (import.meta.main) await main();

async function main(): Promise<void> {
  try {
    enterUserFolder();
    const args = parseWorkerArguments(Deno.args);
    if (args === undefined) console.log(WORKER_HELP);
    else await serve(args);
  } catch (error) {
    console.error(`worker: ${error instanceof Error ? error.message : error}`);
    Deno.exit(error instanceof UsageError ? 2 : 1);
  }
}

async function serve(asked: WorkerArguments): Promise<void> {
  const secret = readWorkerSecret((name) => Deno.env.get(name));
  assertGuarded(asked.host, secret);
  bypassProxy();
  const log = structuredLog({ process: "worker" });
  const args = await withSupportedDtype(
    { ...asked, provider: asked.device },
    (note) => log("warn", note, {}),
  );
  const device = await deviceName(args.device);
  const metrics = new WorkerMetrics();
  const models = openPool(args, { metrics, log });
  const queue = openQueue(args, { models, metrics, log, device });
  metrics.observeQueue(queue);
  // The default model is loaded before the port opens, so that a worker that answers can work.
  const [{ id }] = args.models as [ServedModel];
  (await models.lease(id))[Symbol.dispose]();
  const sharedRuns = openSharedRuns({ env: (name) => Deno.env.get(name), log });
  const app = createWorkerApp({
    queue,
    models,
    metrics,
    log,
    samplerVersion: SAMPLER_VERSION,
    device,
    secret,
    sharedRuns,
  });
  const server = listen({
    hostname: args.host,
    port: args.port,
    onListen() {},
  }, app.fetch);

  const stop = (signal: Deno.Signal) => shutDown(signal, { queue, models, sharedRuns, server, log });
  for (const signal of ["SIGTERM", "SIGINT"] as const) Deno.addSignalListener(signal, () => stop(signal));
  stopWithParent(() => stop("SIGTERM"));
  // Who reads this may send a signal at once.
  log("info", "listening", {
    url: `http://${server.addr.hostname}:${server.addr.port}`,
    pid: Deno.pid,
    model: id,
    device,
    calls: secret === undefined ? "any on this machine" : "signed",
    runs: sharedRuns === undefined ? "own" : "shared",
  });
}

function openQueue(
  args: WorkerArguments,
  parts: Omit<ExecuteRunOptions, "worker">,
): RunQueue {
  const { log } = parts;
  const worker = args.name ?? hostname();
  const logPrompts = Deno.env.get("SPECTRUM_LOG_PROMPTS") === "1";
  return new RunQueue({
    execute: (runs, leaveDevice) =>
      executeBatch(runs, {
        execute: (run, turn) =>
          observeRun(run, {
            execute: (run) => executeRun(run, turn, { ...parts, worker }),
            log,
            logPrompts,
          }),
        leaveDevice,
      }),
    capacity: args.queueCapacity,
    concurrency: args.concurrency,
    // The pictures of a batch encode their prompts at the
    // same time, but offloading allows one graph in memory.
    maxBatch: args.memory.offload ? 1 : args.maxBatch,
  });
}

function openPool(
  args: WorkerArguments,
  { metrics, log }: { metrics: WorkerMetrics; log: Log },
): ModelPool {
  const {
    device: provider,
    dtype,
    weights,
    memory,
    calibration,
    maxLoaded,
    unloadIdleMs: idleMs,
    minFreeBytes,
    concurrency,
  } = args;
  const sources = args.models.map(({ id, model }) => {
    // Parts complete single files. A folder beside them has its own.
    const parts = isFile(parseModelName(model).name) ? args.parts : {};
    const described = describeModel(model, { provider, dtype, weights, parts, ...calibration });
    return {
      info: modelInfo(id, described, memory),
      description: described.reading,
      open: () =>
        openPipeline(model, {
          id,
          provider,
          dtype,
          parts,
          weights,
          ...memory,
          ...calibration,
          graphCache: GRAPH_CACHE_FOLDER,
          weightCache: WEIGHT_CACHE_FOLDER,
          warn: (note) => log("warn", note, { model: id }),
          // Threads that synchronize at every node do less work than threads with a run each
          // (docs/decisions/0022-runs-side-by-side.md).
          ...concurrency > 1 && { intraOpThreads: 1 },
        }),
    };
  });
  return new ModelPool({
    sources,
    maxLoaded,
    idleMs,
    minFreeBytes,
    onChange: (loaded) => metrics.loaded(loaded.length),
  });
}

interface Serving {
  queue: RunQueue;
  models: ModelPool;
  sharedRuns: SharedRuns | undefined;
  server: Deno.HttpServer;
  log: Log;
}

/** Ends this process. A second call cancels the runs that the first one waits for. */
async function shutDown(
  signal: Deno.Signal,
  { queue, models, sharedRuns, server, log }: Serving,
): Promise<void> {
  const isFirst = !queue.draining;
  log("info", "draining", { signal, waiting: queue.depth, running: queue.running });
  // SIGTERM comes from an orchestrator that waits for running
  // work. Ctrl-C, or a second signal, asks to stop at once.
  const drained = queue.drain({ cancelCurrent: signal === "SIGINT" || !isFirst });
  if (!isFirst) return;
  await drained;
  await sharedRuns?.settled(SHUTDOWN_MS);
  await Promise.race([server.shutdown(), new Promise((resolve) => setTimeout(resolve, SHUTDOWN_MS))]);
  models[Symbol.dispose]();
  log("info", "stopped");
  Deno.exit(0);
}
