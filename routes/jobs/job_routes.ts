// /jobs/{id}: a job's status, its events from any place on, tickets to read them with, and its cancellation.
import { type Context, Hono } from "hono";
import { ApiError } from "../../protocol/wire/api_error.ts";
import { streamEvents, type StreamEventsOptions } from "../../protocol/http/stream_events.ts";
import type { Environment } from "../middleware/environment.ts";
import { publicOrigin } from "../files/public_origin.ts";
import { matches } from "../files/serve_bytes.ts";
import { mergePictures } from "../runs/merge_pictures.ts";
import type { KeyLimits } from "../keys/key_limits.ts";
import { countDelivered } from "./count_pictures.ts";
import { jobObject } from "./job_object.ts";
import type { JobPresenters } from "./job_presenter.ts";
import type { JobRecord } from "./job_record.ts";
import type { Jobs, JobState } from "./jobs.ts";
import { TICKET_MS, type Tickets } from "./tickets.ts";
import { unixSeconds } from "../../protocol/wire/unix_seconds.ts";

export interface JobRoutesOptions extends StreamEventsOptions {
  jobs: Jobs;
  limits: Pick<KeyLimits, "settlePictures">;
  tickets: Tickets;
  presenters: JobPresenters;
  /** Origin under which clients reach this edge. @default as publicOrigin() says */
  publicUrl?: string | undefined;
}

/** Interval at which a reader's ticket is renewed. */
const RENEW_MS = 20_000;
/** A reader whose connection broke comes back: an EventSource does after two seconds. */
const GRACE_MS = 5000;

export function jobRoutes(options: JobRoutesOptions): Hono<Environment> {
  const { jobs, tickets } = options;
  const app = new Hono<Environment>();
  const find = (c: Context<Environment>) => jobs.find(c.req.param("id") ?? "", c.get("tenant")!);

  app.get("/jobs/:id", async (c) => {
    const job = await find(c);
    const state = await jobs.stateOf(job);
    if (state.status === "completed" && options.presenters[job.kind]?.isLasting(job)) {
      // A poll with the ETag of the result does not read the result again.
      const etag = `"${job.id}-completed"`;
      c.header("etag", `W/${etag}`);
      c.header("cache-control", "private, no-cache");
      if (matches(c.req.header("if-none-match"), etag)) return c.body(null, 304);
    }
    return c.json(await present(c, { job, state, options }));
  });

  app.get("/jobs/:id/events", async (c) => {
    const job = await find(c);
    const after = readPosition(c.req.header("last-event-id"), job.parts.length);
    // This stops an EventSource from reconnecting.
    if (after.length > 0 && await jobs.endsAt(job, after)) return c.body(null, 204);
    const views = c.req.method === "HEAD" ? [] : await jobs.views(job);
    return streamEvents(c, (signal) => follow(c, { job, views, after, signal, options }), options);
  });

  app.post("/jobs/:id/tickets", async (c) => {
    const job = await find(c);
    const ticket = await tickets.issue(job);
    const expires_at = unixSeconds(Date.now() + TICKET_MS);
    return c.json({ ticket, url: `/v1/jobs/${job.id}/events?ticket=${ticket}`, expires_at });
  });

  app.post(
    "/jobs/:id/cancel",
    async (c) => {
      const job = await jobs.cancel(await find(c));
      return c.json(await present(c, { job, state: await jobs.stateOf(job), options }));
    },
  );

  return app;
}

async function present(
  c: Context<Environment>,
  { job, state, options }: { job: JobRecord; state: JobState; options: JobRoutesOptions },
) {
  const { jobs, presenters } = options;
  const presenter = presenters[job.kind];
  if (state.status !== "completed" || presenter === undefined) return jobObject(job, state);
  const result = await presenter.result(job, () => jobs.resultsOf(job), {
    origin: publicOrigin(c.req.url, options.publicUrl),
  })
    .catch((cause) => {
      // It stays completed when its results are no longer kept.
      if (cause instanceof ApiError && cause.code === "results_expired") return null;
      throw cause;
    });
  return jobObject(job, { ...state, result });
}

async function* follow(
  c: Context<Environment>,
  { job, views, after, signal, options }: {
    job: JobRecord;
    views: Awaited<ReturnType<Jobs["views"]>>;
    after: readonly number[];
    signal: AbortSignal;
    options: JobRoutesOptions;
  },
) {
  const ticket = c.req.query("ticket");
  const renewal = ticket !== undefined &&
    setInterval(() => options.tickets.renew(ticket).catch(() => {}), RENEW_MS);
  try {
    const log = c.get("log");
    const { quota } = job;
    const events = countDelivered(mergePictures(views, signal, after), async (delivered) => {
      if (quota !== null) await options.limits.settlePictures({ ...quota, delivered, done: "no" });
    });
    yield* options.presenters[job.kind]!.messages(job, events, {
      origin: publicOrigin(c.req.url, options.publicUrl),
      onError: (error) => log("error", "stream failed", { error: String(error.cause ?? error) }),
    });
  } finally {
    for (const view of views) view.close(signal.aborted ? GRACE_MS : 0);
    if (renewal !== false) clearInterval(renewal);
    if (ticket !== undefined) options.tickets.renew(ticket).catch(() => {});
  }
}

/** Reads the id of an event: how far each part was. @throws {ApiError} 400 */
function readPosition(header: string | undefined, parts: number): number[] {
  if (header === undefined || header === "") return [];
  const position = header.split(".");
  if (position.length === parts && position.every((part) => /^\d{1,12}$/.test(part))) {
    return position.map(Number);
  }
  throw new ApiError(400, "Last-Event-ID must be the id of an event of this job", { code: "invalid_value" });
}
