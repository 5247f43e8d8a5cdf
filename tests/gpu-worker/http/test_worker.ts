// Serves a worker's HTTP routes in this process, for any pipeline, on a free port.
import { executeBatch } from "../../../gpu-worker/http/execute_batch.ts";
import { executeRun } from "../../../gpu-worker/http/execute_run.ts";
import { ModelPool, type ModelPoolOptions } from "../../../gpu-worker/http/model_pool.ts";
import { observeRun } from "../../../gpu-worker/http/observe_run.ts";
import { RunQueue, type RunQueueOptions } from "../../../gpu-worker/http/run_queue.ts";
import { createWorkerApp, type WorkerAppOptions } from "../../../gpu-worker/http/worker_app.ts";
import { WorkerMetrics } from "../../../gpu-worker/http/worker_metrics.ts";
import type { Log } from "../../../protocol/process/structured_log.ts";
import type { Pipeline } from "../../../gpu-worker/pipeline/pipeline.ts";

export interface TestWorker extends AsyncDisposable {
  url: string;
  queue: RunQueue;
  /** The worker's log entries. */
  logged: { message: string; fields: Record<string, unknown> | undefined }[];
}

/** Overrides of the real worker's defaults. */
export type TestWorkerOptions =
  & {
    /** @default a free port */
    port?: number;
    /** Worker name on receipts. @default "test" */
    name?: string;
    /** Receives the log entries. */
    onLog?: Log;
    logPrompts?: boolean;
  }
  & Partial<Omit<RunQueueOptions, "execute">>
  & Partial<Pick<WorkerAppOptions, "heartbeatMs" | "deadlineMs" | "maxBytes" | "secret" | "sharedRuns">>
  & Partial<Pick<ModelPoolOptions, "maxLoaded" | "idleMs">>;

export function startTestWorker(pipelines: readonly Pipeline[], options: TestWorkerOptions = {}): TestWorker {
  const metrics = new WorkerMetrics();
  const models = new ModelPool({
    sources: pipelines.map((pipeline) => ({
      info: pipeline.model,
      description: pipeline.description,
      open: () => Promise.resolve(pipeline),
    })),
    maxLoaded: pipelines.length,
    ...options,
  });
  const logged: TestWorker["logged"] = [];
  const log: Log = (level, message, fields) => {
    logged.push({ message, fields });
    options.onLog?.(level, message, fields);
  };
  const queue = new RunQueue({
    execute: (runs, leaveDevice) =>
      executeBatch(runs, {
        execute: (run, turn) =>
          observeRun(run, {
            execute: (run) => executeRun(run, turn, { models, metrics, log, worker: options.name ?? "test" }),
            log,
            logPrompts: options.logPrompts ?? false,
          }),
        leaveDevice,
      }),
    ...options,
  });
  metrics.observeQueue(queue);
  const app = createWorkerApp({ queue, models, metrics, log, samplerVersion: "1", ...options });
  const server = Deno.serve({ hostname: "127.0.0.1", port: options.port ?? 0, onListen() {} }, app.fetch);
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    queue,
    logged,
    async [Symbol.asyncDispose]() {
      await queue.drain({ cancelCurrent: true });
      await server.shutdown();
      models[Symbol.dispose]();
    },
  };
}
