// The edge as a Hono app: what it answers, apart from the process that serves it.
import { Hono } from "hono";
import { contextStorage } from "hono/context-storage";
import { handleError } from "../protocol/http/handle_error.ts";
import type { ReadJsonOptions } from "../protocol/http/read_json.ts";
import type { ApiError } from "../protocol/wire/api_error.ts";
import type { ResultStore } from "../protocol/store/results/result_store.ts";
import type { RunLog } from "../protocol/store/run_log/run_log.ts";
import type { StreamEventsOptions } from "../protocol/http/stream_events.ts";
import type { Log } from "../protocol/process/structured_log.ts";
import type { Environment } from "./middleware/environment.ts";
import type { BatchClient } from "./batches/batch_client.ts";
import { a1111Error, isA1111 } from "./a1111/a1111_error.ts";
import { a1111Routes } from "./a1111/a1111_routes.ts";
import { controlNetRoutes } from "./a1111/controlnet_routes.ts";
import { batchRoutes } from "./batches/batch_routes.ts";
import { fileRoutes } from "./files/file_routes.ts";
import { SignedUrls } from "./files/signed_urls.ts";
import { imagePresenter } from "./images/image_presenter.ts";
import { imageRoutes } from "./images/image_routes.ts";
import { StoredAnswers } from "./images/stored_answers.ts";
import { JobKeeper, type JobKeeperOptions } from "./jobs/job_keeper.ts";
import type { JobPresenters } from "./jobs/job_presenter.ts";
import { jobRoutes } from "./jobs/job_routes.ts";
import { Jobs } from "./jobs/jobs.ts";
import { admitTicket, Tickets } from "./jobs/tickets.ts";
import { Webhooks, type WebhooksOptions } from "./jobs/webhooks.ts";
import { KeyDirectory } from "./keys/key_directory.ts";
import { KeyLimits } from "./keys/key_limits.ts";
import type { KeyStore } from "./keys/key_store.ts";
import { EdgeMetrics } from "./metrics/edge_metrics.ts";
import { measureRequests } from "./metrics/measure_requests.ts";
import { MeasuredRunSource } from "./metrics/measured_run_source.ts";
import { apiPath } from "./middleware/api_path.ts";
import { apiHeaders } from "./middleware/api_headers.ts";
import { authenticate, requireScope } from "./middleware/authenticate.ts";
import { endRevokedStreams } from "./middleware/end_revoked_streams.ts";
import { limitConnections } from "./middleware/limit_connections.ts";
import { limitUploads, type LimitUploadsOptions } from "./middleware/limit_uploads.ts";
import { logRequests } from "./middleware/log_requests.ts";
import { notFound } from "./middleware/not_found.ts";
import { requestId } from "./middleware/request_id.ts";
import type { ModelAlias } from "./runs/model_aliases.ts";
import { modelRoutes } from "./models/model_routes.ts";
import { openApiRoutes } from "./openapi/openapi_routes.ts";
import { pageRoutes } from "./page/mod.ts";
import { ModelCatalog } from "./runs/model_catalog.ts";
import { Repetitions } from "./jobs/repetitions.ts";
import { RunPlanner } from "./runs/run_planner.ts";
import type { RunSourceOptions } from "./runs/run_source.ts";
import { MemoryStateStore } from "./state/memory_state_store.ts";
import type { StateStore } from "./state/state_store.ts";
import type { WorkerPool } from "./runs/worker_pool.ts";
import { videoPresenter } from "./videos/video_presenter.ts";
import { videoRoutes } from "./videos/video_routes.ts";

export interface AppOptions
  extends
    ReadJsonOptions,
    StreamEventsOptions,
    Pick<RunSourceOptions, "reconnectDelaysMs" | "maxAttempts" | "stopping" | "listed"> {
  workers: WorkerPool;
  results: ResultStore;
  /** Runs that all edges share. @default this process's own */
  runs?: RunLog;
  /** State that all edges share. @default this process's own */
  state?: StateStore;
  /** @default no job may name one */
  webhooks?: Pick<WebhooksOptions, "secret" | "origins" | "fetch"> | undefined;
  /** Intervals of the job keeper. False if other edges keep the jobs. */
  keeper?: Pick<JobKeeperOptions, "intervalMs" | "retryDelaysMs"> | false;
  /** The shared store, for /readyz. @default nothing is shared */
  store?: { ping(): Promise<boolean> } | undefined;
  /** Plain API keys, and those of a store; none at all admits this machine's own programs only. */
  keys: readonly string[];
  keyStore: KeyStore;
  log: Log;
  /** Names that stand for models. @default none */
  aliases?: readonly ModelAlias[];
  /** Origins whose pages may call the API: "https://app.example", or "*". @default this origin's alone */
  corsOrigins?: readonly string[];
  /** Bytes of request bodies in hand at a time. */
  uploads?: LimitUploadsOptions;
  /** Keeps batches. @default there are none */
  batches?: BatchClient | undefined;
  /** Signs addresses of pictures, at all edges alike. @default random */
  urlSecret?: string | undefined;
  /** Origin under which clients reach this edge, for such addresses. @default as publicOrigin() says */
  publicUrl?: string | undefined;
}

/** Requests of one key that are answered at a time. */
const CONNECTIONS_PER_KEY = 64;

/** The app, whose timers end when it is disposed of. */
export type EdgeApp = Hono<Environment> & Disposable;

/** Creates the edge. */
export function createApp(options: AppOptions): EdgeApp {
  const { workers, results, keys, log } = options;
  const owned = new DisposableStack();
  const services = createServices(options, owned);
  const { catalog, metrics, limits, directory, tickets, urls } = services;

  const app = new Hono<Environment>({ getPath: apiPath });
  app.use(requestId(), logRequests(log), measureRequests(metrics));
  app.use("/v1/*", apiHeaders(options.corsOrigins));
  app.use("/v1/jobs/:id/events", admitTicket({ tickets, directory, limits }));
  const admit = authenticate({ keys, directory, limits, corsOrigins: options.corsOrigins ?? [] });
  const connections = limitConnections(CONNECTIONS_PER_KEY);
  const uploads = limitUploads(options.uploads);
  app.use("/v1/*", admit, connections, uploads);
  for (const path of ["/sdapi/*", "/controlnet/*"]) {
    app.use(path, apiHeaders(options.corsOrigins), admit, connections, uploads);
  }
  app.use("/v1/*", endRevokedStreams(directory));
  const answers = new StoredAnswers({ results, catalog, limits, metrics, reading: options });
  app.post("/v1/images/generations", answers.give());
  // Calls of workers carry the request's id, which edge_options.ts takes from the stored context. A stored
  // answer calls none.
  app.use(contextStorage());
  app.route("/v1", imageRoutes({ ...options, ...services, answers }));
  app.route("/v1", videoRoutes({ ...options, ...services }));
  app.route("/v1", jobRoutes({ ...options, ...services }));
  app.route("/v1", modelRoutes(catalog));
  app.route("/sdapi/v1", a1111Routes({ ...options, ...services }));
  app.route("/controlnet", controlNetRoutes(catalog));
  app.route("/v1", batchRoutes({ ...options, ...services, batches: options.batches }));
  app.get(
    "/metrics",
    admit,
    requireScope("admin"),
    async (c) => c.text(await metrics.text()),
  );
  app.get("/healthz", (c) => c.json({ status: "ok" }));
  app.get("/readyz", async (c) => {
    const [ready, shared] = await Promise.all([workers.ready(), options.store?.ping() ?? true]);
    // Without the store pictures are made all the same: an edge that is taken out of service makes none.
    return c.json({ status: !ready ? "unavailable" : shared ? "ready" : "degraded" }, ready ? 200 : 503);
  });
  app.route("/", fileRoutes({ urls, results }));
  app.route("/", openApiRoutes());
  app.route("/", pageRoutes());
  app.notFound(notFound(app));
  const toBody = (error: ApiError, path: string) => isA1111(path) ? a1111Error(error) : error.toBody();
  app.onError(handleError({ log, toBody }));
  return Object.assign(app, { [Symbol.dispose]: () => owned.dispose() });
}

/** Creates the parts that routes share. Those with timers go to `owned`. */
function createServices(options: AppOptions, owned: DisposableStack) {
  const { workers, results, keyStore, log } = options;
  const catalog = new ModelCatalog({ worker: workers, aliases: options.aliases });
  const planner = new RunPlanner({ catalog, worker: workers });
  const metrics = new EdgeMetrics();
  const source = owned.use(new MeasuredRunSource({ ...options, pool: workers, metrics }));
  const urls = new SignedUrls({ secret: options.urlSecret });
  const directory = new KeyDirectory({ store: keyStore, log });
  const limits = new KeyLimits({ store: keyStore, log });
  const state = options.state ?? new MemoryStateStore();
  const jobs = new Jobs({ source, state });
  const tickets = new Tickets({ state });
  const repetitions = new Repetitions({ state, drawSeed: () => planner.drawSeed() });
  const webhooks = options.webhooks && new Webhooks({ ...options.webhooks, log });
  if (options.keeper !== false) {
    owned.use(new JobKeeper({ ...options.keeper, jobs, state, limits, webhooks, log }));
  }
  const image = imagePresenter({ results, urls });
  const presenters: JobPresenters = {
    image_generation: image,
    image_edit: image,
    video: videoPresenter({ jobs }),
  };
  return {
    catalog,
    planner,
    metrics,
    source,
    urls,
    directory,
    limits,
    state,
    jobs,
    tickets,
    repetitions,
    webhooks,
    presenters,
  };
}
