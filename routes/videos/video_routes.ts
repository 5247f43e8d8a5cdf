// POST /videos and what comes after it, as OpenAI's clients use them: poll, list, download, delete;
// and the events on the way.
import { type Context, Hono } from "hono";
import { z } from "zod";
import { ApiError } from "../../protocol/wire/api_error.ts";
import { parseWire } from "../../protocol/wire/parse_wire.ts";
import { readLastEventId } from "../../protocol/http/read_last_event_id.ts";
import { readJson, type ReadJsonOptions } from "../../protocol/http/read_json.ts";
import { streamEvents, type StreamEventsOptions } from "../../protocol/http/stream_events.ts";
import { readVideoRequest } from "../requests/video_request.ts";
import type { Environment } from "../middleware/environment.ts";
import { serveBytes } from "../files/serve_bytes.ts";
import type { JobRecord } from "../jobs/job_record.ts";
import type { Jobs } from "../jobs/jobs.ts";
import { createVideo, type VideoServices } from "./create_video.ts";
import { remixRequest, remixRequestSchema } from "./remix_request.ts";
import { videoMessages } from "./video_messages.ts";
import { contentOf, jobId, VARIANTS, VIDEO, videoId, videoObject } from "./video_object.ts";

export interface VideoRoutesOptions extends VideoServices, ReadJsonOptions, StreamEventsOptions {}

export const listQuerySchema = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  /** The last one of the page before. */
  after: z.string().max(100).optional(),
  order: z.enum(["asc", "desc"]).default("desc"),
});

export const contentQuerySchema = z.object({ variant: z.enum(VARIANTS).default("video") });

/** Content never changes, and belongs to its owner alone. */
const CACHE_CONTROL = "private, max-age=3600";

/** Creates the routes under /videos. */
export function videoRoutes(options: VideoRoutesOptions): Hono<Environment> {
  const { jobs } = options;
  const app = new Hono<Environment>();
  const find = (c: Context<Environment>) => findVideo(c, jobs);

  app.post("/videos", async (c) => {
    const record = await createVideo(c, { request: await readVideoRequest(c.req.raw, options), options });
    return c.json(videoObject(record, await jobs.stateOf(record)));
  });

  app.post("/videos/:id/remix", async (c) => {
    const changes = parseWire(remixRequestSchema, await readJson(c.req.raw, options));
    const source = await find(c);
    const { status } = await jobs.stateOf(source);
    const request = remixRequest(source, { ...changes, status });
    const record = await createVideo(c, { request, remixedFrom: videoId(source.id), options });
    return c.json(videoObject(record, await jobs.stateOf(record)));
  });

  app.get("/videos", (c) => listVideos(c, jobs));

  app.get("/videos/:id", async (c) => {
    const record = await find(c);
    return c.json(videoObject(record, await jobs.stateOf(record)));
  });

  app.get("/videos/:id/content", async (c) => {
    const { variant } = parseWire(contentQuerySchema, c.req.query());
    const record = await find(c);
    const { status } = await jobs.stateOf(record);
    const [result] = status === "completed" ? await jobs.resultsOf(record) : [];
    const content = result && contentOf(result, variant);
    if (content !== undefined) return await serveBytes(c, { ...content, cacheControl: CACHE_CONTROL });
    throw new ApiError(400, `This video is not there to be downloaded: its status is ${status}`, {
      code: "video_not_ready",
    });
  });

  app.get("/videos/:id/events", async (c) => streamVideo(c, { record: await find(c), options }));

  app.delete("/videos/:id", async (c) => {
    const record = await find(c);
    await jobs.forget(await jobs.cancel(record));
    return c.json({ id: videoId(record.id), object: "video.deleted", deleted: true });
  });

  return app;
}

async function listVideos(c: Context<Environment>, jobs: Jobs): Promise<Response> {
  const { limit, after, order } = parseWire(listQuerySchema, c.req.query());
  const records = await jobs.list({ tenant: c.get("tenant")!, kind: VIDEO }, {
    // One more than is shown, to say whether there are more.
    limit: limit + 1,
    after: after && jobId(after),
    ascending: order === "asc",
  });
  const page = records.slice(0, limit);
  const data = await Promise.all(
    page.map(async (record) => videoObject(record, await jobs.stateOf(record))),
  );
  return c.json({
    object: "list",
    data,
    first_id: data.at(0)?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: records.length > page.length,
  });
}

async function streamVideo(
  c: Context<Environment>,
  { record, options }: { record: JobRecord; options: VideoRoutesOptions },
): Promise<Response> {
  const { jobs } = options;
  const after = readLastEventId(c.req.header("last-event-id"), "video");
  // This stops an EventSource from reconnecting.
  if (await jobs.endsAt(record, [after])) return c.body(null, 204);
  const [view] = await jobs.views(record);
  const log = c.get("log");
  return streamEvents(c, async function* (signal) {
    try {
      yield* videoMessages(view!.events(signal, after), {
        id: videoId(record.id),
        object: async () => videoObject(record, await jobs.stateOf(record)),
        onError: (error) => log("error", "stream failed", { error: String(error.cause ?? error) }),
      });
    } finally {
      view!.close();
    }
  }, options);
}

/** @throws {ApiError} 404 for a video that is missing or belongs to somebody else */
async function findVideo(c: Context<Environment>, jobs: Jobs): Promise<JobRecord> {
  try {
    const record = await jobs.find(jobId(c.req.param("id") ?? ""), c.get("tenant")!);
    if (record.kind === VIDEO) return record;
  } catch (cause) {
    if (!(cause instanceof ApiError && cause.status === 404)) throw cause;
  }
  throw new ApiError(404, "There is no such video", { code: "video_not_found" });
}
