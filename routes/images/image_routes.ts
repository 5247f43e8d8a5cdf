// POST /images/generations and /images/edits: pictures from a prompt, or from a prompt and an image, as JSON,
// as a stream or as a job.
import { type Context, Hono } from "hono";
import { ApiError } from "../../protocol/wire/api_error.ts";
import { type EditRequest, imagesOf, readEditRequest } from "../requests/edit_request.ts";
import { type ImageRequest, parseImageText } from "../requests/image_request.ts";
import type { ReadJsonOptions } from "../../protocol/http/read_json.ts";
import type { ResultStore } from "../../protocol/store/results/result_store.ts";
import type { CompletedEvent } from "../../protocol/wire/run_event.ts";
import { streamEvents, type StreamEventsOptions } from "../../protocol/http/stream_events.ts";
import type { Environment } from "../middleware/environment.ts";
import { publicOrigin } from "../files/public_origin.ts";
import type { SignedUrls } from "../files/signed_urls.ts";
import { jobObject } from "../jobs/job_object.ts";
import { drawJobId, type JobRecord } from "../jobs/job_record.ts";
import { type JobOpening, type Jobs, STREAM_WAIT_MS } from "../jobs/jobs.ts";
import { checkWebhook, type Webhooks } from "../jobs/webhooks.ts";
import type { KeyLimits } from "../keys/key_limits.ts";
import { allPlaces, countDelivered, type Counted, countPictures } from "../jobs/count_pictures.ts";
import { settleImage } from "../models/settle_request.ts";
import { mergePictures } from "../runs/merge_pictures.ts";
import type { Recognized, Repetitions } from "../jobs/repetitions.ts";
import { ownerOf } from "../runs/owner_of.ts";
import { runFailure } from "../runs/run_failure.ts";
import type { ModelCatalog } from "../runs/model_catalog.ts";
import type { RunPlan, RunPlanner } from "../runs/run_planner.ts";
import type { RunSource } from "../runs/run_source.ts";
import type { RunView } from "../runs/run_view.ts";
import { deliverer, type ImageFacts, imagePresenter } from "./image_presenter.ts";
import { imagesResponse } from "./image_response.ts";
import { cacheOf, closeAll, openPictures } from "./open_pictures.ts";
import { requestCaching } from "./request_caching.ts";
import type { StoredAnswers } from "./stored_answers.ts";

export interface ImageRoutesOptions extends ReadJsonOptions, StreamEventsOptions {
  planner: RunPlanner;
  catalog: ModelCatalog;
  source: RunSource;
  limits: KeyLimits;
  results: ResultStore;
  urls: SignedUrls;
  answers: StoredAnswers;
  jobs: Jobs;
  repetitions: Repetitions;
  /** Undefined if no job may name one. */
  webhooks: Webhooks | undefined;
  /** Origin under which clients reach this edge. @default as publicOrigin() says */
  publicUrl?: string | undefined;
}

export function imageRoutes(options: ImageRoutesOptions): Hono<Environment> {
  const app = new Hono<Environment>();

  app.post("/images/generations", async (c) => {
    // `answers.give` has read it.
    const request = parseImageText(c.get("jsonText")!);
    return await answer(c, { request, kind: "image_generation", options });
  });

  app.post("/images/edits", async (c) => {
    const request = await readEditRequest(c.req.raw, options);
    return await answer(c, { request, kind: "image_edit", options });
  });

  return app;
}

interface Answer {
  /** The request as the client sent it. */
  request: ImageRequest | EditRequest;
  kind: "image_generation" | "image_edit";
  options: ImageRoutesOptions;
}

const NEVER = new AbortController().signal;

/** Everything that is known once the runs are open. */
interface Opened extends Answer, Counted {
  plan: RunPlan;
  /** Sentences about unmet wishes. */
  warnings: string[];
  pictures: RunView[];
  repetition: Recognized;
  detached: boolean;
  opening: JobOpening | undefined;
}

async function answer(c: Context<Environment>, { request: sent, ...asked }: Answer): Promise<Response> {
  const { options } = asked;
  const metadata = sent.metadata ?? c.get("apiKey")?.metadata;
  // The plan of a request is remembered by the object itself where nothing is added to it.
  const named = metadata === sent.metadata ? sent : { ...sent, metadata };
  const { request, warnings } = await settleImage(named, options.catalog);
  const { source, jobs, limits, planner, repetitions } = options;
  const detached = request.background === true || prefersAsync(c.req.header("prefer"));
  if (request.webhook !== undefined && !detached) {
    throw new ApiError(400, "'webhook' needs 'background': true, as the end of an answer tells itself", {
      param: "webhook",
      code: "webhook_not_allowed",
    });
  }
  checkWebhook(request.webhook, options.webhooks);
  const caching = requestCaching(c.req.header("cache-control"));
  const repetition = await repetitions.recognize({
    header: (name) => c.req.header(name),
    tenant: c.get("tenant")!,
    request: withoutImage(request),
  });
  const known = detached && repetition.repeated ? await jobs.read(repetition.job) : undefined;
  if (known !== undefined) return await accepted(c, { job: known, options });
  // A repetition gets the pictures of the first request. With 'no-store' none are kept that it could get.
  if (repetition.repeated && caching.store) caching.maxAgeMs = Infinity;
  const id = caching.store ? repetition.job : drawJobId();
  const sharing = !caching.store ? "none" : detached ? "results" : repetition.sharing;
  const isPlain = request.seed === repetition.seed && request.background === (detached || undefined);
  const planned = isPlain ? request : { ...request, seed: repetition.seed, background: detached };
  const plan = await planner.plan(planned, sharing);
  const counted = await countPictures(plan.pictures.length, { limits, key: c.get("apiKey"), id });
  const opening = detached ? jobs.opening(repetition.job) : undefined;
  const pictures = await openPictures(plan.pictures, {
    source,
    caching,
    opening,
    owner: ownerOf(c.get("tenant")!),
    // A client whose connection breaks must find the stream at other edges.
    waitMs: request.stream ? STREAM_WAIT_MS : undefined,
  }).catch(async (cause) => {
    await counted.end();
    throw cause;
  });
  releaseImage(plan, request);
  const opened = { ...asked, ...counted, request, warnings, plan, pictures, repetition, detached, opening };
  c.set("cache", cacheOf(pictures));
  c.header("x-spectrum-cache", c.get("cache"));
  const keys = plan.pictures.flatMap(({ name }) => name ?? []);
  if (keys.length > 0) c.header("x-spectrum-key", keys.join(", "));
  if (request.stream) return stream(c, { ...opened, job: await addJob(c, opened) });
  if (!detached) return await wait(c, opened);
  const job = await addJob(c, opened);
  closeAll(pictures);
  return await accepted(c, { job, options });
}

/** Records the request as a job. From here on other connections can continue it: GET /jobs/{id}/events. */
async function addJob(c: Context<Environment>, opened: Opened): Promise<JobRecord> {
  const { kind, plan, pictures, repetition, detached, opening, quota, options } = opened;
  const job = await options.jobs.add({
    id: repetition.job,
    kind,
    tenant: c.get("tenant")!,
    facts: factsOf(opened),
    detached,
    viewer: opening?.detached.viewer ?? null,
    webhook: opened.request.webhook ?? null,
    quota,
  }, { views: pictures, wanted: plan.pictures }).catch(async (cause) => {
    await opened.end();
    closeAll(pictures);
    throw cause;
  });
  // The first of two at the same time holds the pictures for both.
  if (job.quota?.holder !== quota?.holder) await opened.end();
  else if (detached) opened.handOver();
  c.header("x-spectrum-job", job.id);
  return job;
}

async function accepted(
  c: Context<Environment>,
  { job, options }: { job: JobRecord; options: ImageRoutesOptions },
): Promise<Response> {
  const state = await options.jobs.stateOf(job);
  c.header("location", `/v1/jobs/${job.id}`);
  c.header("x-spectrum-job", job.id);
  if (prefersAsync(c.req.header("prefer"))) c.header("preference-applied", "respond-async");
  return c.json(jobObject(job, state), 202);
}

function stream(c: Context<Environment>, opened: Opened & { job: JobRecord }): Response {
  const { job, pictures, plan, deliver, repetition, options } = opened;
  const log = c.get("log");
  const origin = publicOrigin(c.req.url, options.publicUrl);
  return streamEvents(c, async function* (signal) {
    let begun = false;
    try {
      const events = countDelivered(mergePictures(pictures, signal), deliver);
      const messages = imagePresenter(options).messages(job, events, {
        origin,
        onError: (error) => log("error", "stream failed", { error: String(error.cause ?? error) }),
      });
      for await (const message of messages) {
        begun = true;
        yield message;
      }
    } finally {
      // A client that has received part of the stream does not retry.
      if (signal.aborted && !begun) repetition.lost();
      closeAll(pictures);
      // The pictures of a client that leaves count all the same. A job's end settles its
      // count, whoever reads it.
      if (!job.detached && signal.aborted) await deliver(allPlaces(plan.pictures.length));
      if (!job.detached) await opened.end();
    }
  }, options);
}

async function wait(c: Context<Environment>, opened: Opened): Promise<Response> {
  const { plan, pictures, repetition, deliver, options } = opened;
  // Asking for a request's signal costs as much as the rest of this function, so it is not
  // asked for stored pictures.
  const signal = pictures.every(({ result }) => result !== undefined) ? NEVER : c.req.raw.signal;
  try {
    const finished = await collect(pictures, signal);
    const parts = plan.pictures.map(({ key = null }) => ({ run: null, key }));
    const handOver = deliverer({ facts: factsOf(opened), parts }, {
      ...options,
      origin: opened.request.response_format === "url"
        ? publicOrigin(c.req.url, options.publicUrl)
        : undefined,
    });
    const delivered = await Promise.all(finished.map(handOver));
    await deliver(allPlaces(finished.length));
    const body = imagesResponse(finished, { ...factsOf(opened), delivered });
    if (signal === NEVER && opened.quota === null) {
      options.answers.remember(c, { keys: plan.pictures.map(({ key }) => key), answer: body });
    }
    return c.json(body);
  } finally {
    // The pictures of a client that does not wait count all the same.
    if (signal.aborted) await deliver(allPlaces(plan.pictures.length));
    await opened.end();
    if (signal.aborted) repetition.lost();
    closeAll(pictures, signal.aborted ? repetition.graceMs : 0);
  }
}

/**
 * Waits for the finished pictures, in the order asked for.
 * @throws {ApiError} what the first to fail throws
 */
async function collect(pictures: readonly RunView[], signal: AbortSignal): Promise<CompletedEvent[]> {
  const stored = pictures.flatMap(({ result }) => result ?? []);
  if (stored.length === pictures.length) return stored;
  const finished: CompletedEvent[] = [];
  for await (const { imageIndex, event } of mergePictures(pictures, signal)) {
    if (event.type === "failed" || event.type === "cancelled") throw runFailure(event);
    if (event.type === "completed") finished[imageIndex] = event;
  }
  // Nobody reads this answer.
  if (signal.aborted) throw new ApiError(499, "The client has gone", { code: "client_gone" });
  return finished;
}

function factsOf({ request, plan, warnings, detached }: Opened): ImageFacts {
  const files = { image: undefined, more_images: undefined, mask: undefined };
  const { image: _image, more_images: _more, mask: _mask, control_image: _control, ...kept } = {
    ...files,
    ...request,
  };
  // A reader of a job's events wants its progress.
  const own = { ...kept, control_image: undefined, progress: kept.progress || detached };
  return { request: own, settings: plan.settings, warnings };
}

/**
 * Frees the megabytes of a request's files. Its runs are on their way, so nothing here needs them any more.
 */
function releaseImage({ pictures }: RunPlan, request: ImageRequest | EditRequest): void {
  for (const { run } of pictures) {
    delete run.image;
    delete run.mask;
    delete run.control_image;
    delete run.references;
  }
  if (request.control_image) request.control_image.base64 = "";
  if (!("image" in request)) return;
  for (const image of imagesOf(request)) image.base64 = "";
  if (request.mask) request.mask.base64 = "";
}

/** Returns a fingerprint of the request without its megabytes. */
function withoutImage({ control_image, ...request }: ImageRequest | EditRequest) {
  const control = control_image && { control_image: control_image.sha256 };
  if (!("image" in request)) return { ...request, ...control };
  const { image, more_images, mask, ...rest } = request;
  return {
    ...rest,
    image: image.sha256,
    ...more_images && { more_images: more_images.map(({ sha256 }) => sha256) },
    ...mask && { mask: mask.sha256 },
    ...control,
  };
}

function prefersAsync(header: string | undefined): boolean {
  return /(^|,)\s*respond-async\s*(,|;|$)/i.test(header ?? "");
}
