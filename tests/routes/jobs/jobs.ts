// An edge in this process, asked for jobs, before a worker whose steps the test controls.
import assert from "node:assert/strict";
import { MemoryResultStore } from "../../../protocol/store/results/memory_result_store.ts";
import { type AppOptions, createApp } from "../../../routes/app.ts";
import { monthCounter } from "../../../routes/keys/key_limits.ts";
import { MemoryKeyStore } from "../../../routes/keys/memory_key_store.ts";
import { FakePipeline } from "../../gpu-worker/http/fake_pipeline.ts";
import { startTestWorker } from "../../gpu-worker/http/test_worker.ts";
import { testPool } from "../runs/pool.ts";
import { until } from "../../until.ts";

const LOCAL = { remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 1 } } as const;

interface AskOptions {
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

export function startJobs(pipeline: FakePipeline, options: Partial<AppOptions> = {}) {
  const worker = startTestWorker([pipeline]);
  const keyStore = new MemoryKeyStore();
  const app = createApp({
    workers: testPool(worker.url),
    results: new MemoryResultStore(),
    keys: [],
    keyStore,
    keeper: { intervalMs: 10, retryDelaysMs: [10, 10] },
    log: () => {},
    ...options,
  });
  const ask = (method: string, path: string, { body, headers = {}, signal }: AskOptions = {}) =>
    app.request(`http://localhost/v1${path}`, {
      method,
      headers: { ...body !== undefined && { "content-type": "application/json" }, ...headers },
      ...body !== undefined && { body: JSON.stringify(body) },
      ...signal && { signal },
    }, LOCAL);
  const generate = (fields: object, options: AskOptions = {}) =>
    ask("POST", "/images/generations", { body: { prompt: "x", ...fields }, ...options });
  const jobUntil = (id: string, status: string, headers: Record<string, string> = {}) =>
    until(async () => {
      const job = await (await ask("GET", `/jobs/${id}`, { headers })).json();
      assert.ok(
        [status, "queued", "in_progress"].includes(job.status),
        `${job.status}, not ${status}`,
      );
      return job.status === status && job;
    });
  return { worker, keyStore, ask, generate, jobUntil };
}

/** A pipeline whose steps wait until the test lets them all go. */
export function held(): { pipeline: FakePipeline; go: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { pipeline: new FakePipeline({ beforeStep: () => promise }), go: resolve };
}

export function eventsOf(text: string): { id: string; event: string; data: string }[] {
  return text.trim().split("\n\n").map((block) =>
    Object.fromEntries(block.split("\n").map((line) => line.split(/: ?(.*)/s).slice(0, 2)))
  ).filter(({ event }) => event !== undefined);
}

export function counterOf({ id }: { id: string }): string {
  return monthCounter(id, new Date());
}
