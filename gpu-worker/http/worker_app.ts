// The worker's HTTP routes, for edges and operators: submit, follow, cancel, models, metrics, health.
import { context } from "@opentelemetry/api";
import { Hono } from "hono";
import { ApiError } from "../../protocol/wire/api_error.ts";
import { parseWire } from "../../protocol/wire/parse_wire.ts";
import { handleError } from "../../protocol/http/handle_error.ts";
import { readJson, type ReadJsonOptions } from "../../protocol/http/read_json.ts";
import { requireSignature } from "../../protocol/http/require_signature.ts";
import { completionRequestSchema, MAX_RUN_BYTES, runRequestSchema } from "../../protocol/wire/run_request.ts";
import { streamEvents, type StreamEventsOptions } from "../../protocol/http/stream_events.ts";
import type { Log } from "../../protocol/process/structured_log.ts";
import { batchTerms } from "./batch_terms.ts";
import { FileStore } from "./file_store.ts";
import { modelCard } from "./model_card.ts";
import type { ModelPool } from "./model_pool.ts";
import type { Run } from "./run.ts";
import type { RunQueue } from "./run_queue.ts";
import type { SharedRuns } from "./shared_runs.ts";
import type { WorkerMetrics } from "./worker_metrics.ts";
import { toWire } from "../request/wire_settings.ts";
import { completeRun } from "./wire_request.ts";
import { readLastEventId } from "../../protocol/http/read_last_event_id.ts";

export interface WorkerAppOptions extends ReadJsonOptions, StreamEventsOptions {
  queue: RunQueue;
  models: ModelPool;
  metrics: WorkerMetrics;
  log: Log;
  samplerVersion: string;
  /** Name of the device, for readiness and models. @default none */
  device?: string;
  /** Writes runs to the log that edges share. @default edges follow the worker's own log */
  sharedRuns?: SharedRuns | undefined;
  /** The secret that calls must be signed with. @default calls need no signature */
  secret?: string | undefined;
}

/** Creates the worker's routes. */
export function createWorkerApp(options: WorkerAppOptions): Hono {
  const { queue, models, metrics, log } = options;
  const device = options.device === undefined ? {} : { device: options.device };
  const app = new Hono();
  if (options.secret !== undefined) {
    app.use(requireSignature(options.secret, { ...bodyOptions(options), instance: crypto.randomUUID() }));
  }

  addRunRoutes(app, options);

  const cards = models.sources.map((source) => modelCard(source, options.samplerVersion));
  app.get("/models", (c) => {
    return c.json({
      models: cards.map((card) => ({ ...card, ...device, loaded: models.isLoaded(card.id) })),
    });
  });
  app.get("/metrics", async (c) => c.text(await metrics.text()));
  app.get("/healthz", (c) => c.json({ status: "ok" }));
  app.get("/readyz", (c) => {
    const status = queue.draining ? "draining" : "ready";
    const load = { queue_depth: queue.depth, running: queue.busy };
    return c.json({ status, ...device, ...load }, status === "ready" ? 200 : 503);
  });

  app.notFound(() => new ApiError(404, "There is no such endpoint", { code: "not_found" }).toResponse());
  app.onError(handleError({ log }));
  return app;
}

/** Adds the routes that take, complete, follow and end runs. */
function addRunRoutes(app: Hono, options: WorkerAppOptions): void {
  const { queue, models } = options;
  const body = bodyOptions(options);
  const files = new FileStore();

  /** Answers 202 with the run's id and its place in the queue. The run's events tell the rest. */
  app.post("/runs", async (c) => {
    const request = files.resolve(parseWire(runRequestSchema, await readJson(c.req.raw, body)));
    queue.assertOpen(request);
    const model = models.describe(request.model);
    const completed = await completeRun(request, model);
    const { run, position } = queue.submit(request, {
      completed,
      origin: { requestId: c.req.header("x-request-id"), context: context.active() },
      batch: batchTerms(model, { request: completed, model: request.model }),
    });
    const shared = request.shared?.log === true && options.sharedRuns !== undefined;
    if (shared) options.sharedRuns!.share(run);
    return c.json({ id: run.id, position, shared }, 202);
  });

  /** Answers the request with every default filled in, or the error that POST /runs would give. */
  app.post("/complete", async (c) => {
    const request = parseWire(completionRequestSchema, await readJson(c.req.raw, body));
    return c.json(toWire(await completeRun(request, models.describe(request.model))));
  });

  app.get("/runs/:id/events", (c) => {
    const run = queue.get(c.req.param("id"));
    const after = readLastEventId(c.req.header("last-event-id"), "run");
    // 204 stops an EventSource from reconnecting.
    if (run.endsAt(after)) return c.body(null, 204);
    return streamEvents(c, (signal) => toMessages(run, { after, signal }), options);
  });

  app.get("/runs/:id", (c) => {
    const { id, attempt, finished } = queue.get(c.req.param("id"));
    return c.json({ id, attempt, finished });
  });

  app.delete("/runs/:id", (c) => {
    const attempt = c.req.query("attempt");
    if (attempt === undefined) queue.get(c.req.param("id")).cancel("requested");
    else queue.giveUp({ id: c.req.param("id"), attempt: readAttempt(attempt) });
    return c.body(null, 204);
  });
}

function bodyOptions(options: WorkerAppOptions): ReadJsonOptions {
  return { maxBytes: MAX_RUN_BYTES, ...options };
}

async function* toMessages(run: Run, { after, signal }: { after: number; signal: AbortSignal }) {
  for await (const { id, event } of run.follow(after, signal)) {
    yield { id: String(id), event: event.type, data: JSON.stringify(event) };
  }
}

/** @throws {ApiError} 400 if it is not a number. */
function readAttempt(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new ApiError(400, "Cannot cancel the run: attempt must be a whole number", { code: "invalid_value" });
}
