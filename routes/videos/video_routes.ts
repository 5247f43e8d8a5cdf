// POST /videos and what comes after it, as OpenAI's clients use them: poll, list, download, delete;
// and the events on the way.
import { type Context, Hono } from "hono";
import { z } from "zod";
import { ApiError } from "../../protocol/wire/api_error.ts";
import { parseWire } from "../../protocol/wire/parse_wire.ts";
import { readJson, type ReadJsonOptions } from "../../protocol/http/read_json.ts";
import { streamEvents, type StreamEventsOptions } from "../../protocol/http/stream_events.ts";
import { readVideoRequest, type VideoRequest } from "../requests/video_request.ts";
import type { Environment } from "../middleware/environment.ts";
import { serveBytes } from "../files/serve_bytes.ts";
import type { JobRecord } from "../jobs/job_record.ts";
import type { Jobs } from "../jobs/jobs.ts";
import { checkWebhook, type Webhooks } from "../jobs/webhooks.ts";
import type { KeyLimits } from "../keys/key_limits.ts";
import { countPictures } from "../jobs/count_pictures.ts";
import { settleVideo } from "../models/settle_request.ts";
import type { ModelCatalog } from "../runs/model_catalog.ts";
import type { Repetitions } from "../jobs/repetitions.ts";
import { ownerOf } from "../runs/owner_of.ts";
import type { PlannedVideo, RunPlan, RunPlanner } from "../runs/run_planner.ts";
import type { RunSource } from "../runs/run_source.ts";
import { keptRequest, remixRequest, remixRequestSchema } from "./remix_request.ts";
import { videoMessages } from "./video_messages.ts";
import { contentOf, jobId, VARIANTS, VIDEO, videoFacts, videoId, videoObject } from "./video_object.ts";

export interface VideoRoutesOptions extends ReadJsonOptions, StreamEventsOptions {
  planner: RunPlanner;
  catalog: ModelCatalog;
  source: RunSource;
  jobs: Jobs;
  limits: KeyLimits;
  repetitions: Repetitions;
  /** undefined: no video may name one. */
  webhooks: Webhooks | undefined;
}

export const listQuerySchema = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  /** The last one of the page before. */
  after: z.string().max(100).optional(),
  order: z.enum(["asc", "desc"]).default("desc"),
});

export const contentQuerySchema = z.object({ variant: z.enum(VARIANTS).default("video") });

/** Content never changes, and is its owner's alone. */
const CACHE_CONTROL = "private, max-age=3600";

export function videoRoutes(options: VideoRoutesOptions): Hono<Environment> {
  const { jobs } = options;
  const app = new Hono<Environment>();
  const find = (c: Context<Environment>) => findVideo(c, jobs);

  app.post("/videos", async (c) => {
    const record = await create(c, { request: await readVideoRequest(c.req.raw, options), options });
    return c.json(videoObject(record, await jobs.stateOf(record)));
  });

  app.post("/videos/:id/remix", async (c) => {
    const changes = parseWire(remixRequestSchema, await readJson(c.req.raw, options));
    const source = await find(c);
    const { status } = await jobs.stateOf(source);
    const request = remixRequest(source, { ...changes, status });
    const record = await create(c, { request, remixedFrom: videoId(source.id), options });
    return c.json(videoObject(record, await jobs.stateOf(record)));
  });

  app.get("/videos", async (c) => {
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
  });

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

  app.get("/videos/:id/events", async (c) => {
    const record = await find(c);
    const after = lastEventId(c.req.header("last-event-id"));
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
  });

  app.delete("/videos/:id", async (c) => {
    const record = await find(c);
    await jobs.forget(await jobs.cancel(record));
    return c.json({ id: videoId(record.id), object: "video.deleted", deleted: true });
  });

  return app;
}

interface CreateOptions {
  request: VideoRequest;
  /** Id of the video that this one is a remix of. */
  remixedFrom?: string;
  options: VideoRoutesOptions;
}

/** A client's repetition of a request gets the video that the first one has begun. */
async function create(
  c: Context<Environment>,
  { request: sent, remixedFrom, options }: CreateOptions,
): Promise<JobRecord> {
  const { planner, catalog, source, jobs, limits, repetitions } = options;
  const tenant = c.get("tenant")!;
  checkWebhook(sent.webhook, options.webhooks);
  const { request, warnings } = await settleVideo({
    ...sent,
    metadata: sent.metadata ?? c.get("apiKey")?.metadata,
  }, catalog);
  const repetition = await repetitions.recognize({
    header: (name) => c.req.header(name),
    tenant,
    request: { ...withoutFrames(request), ...remixedFrom && { remixed_from: remixedFrom } },
  });
  const known = repetition.repeated ? await jobs.read(repetition.job) : undefined;
  if (known !== undefined) return known;
  const model = request.model ?? (await catalog.list()).find(({ video }) => video !== undefined)?.id;
  const settled = {
    model,
    seed: repetition.seed,
    n: 1,
    stream: true,
    background: true,
    response_format: "b64_json",
  };
  // Videos are downloaded later: their results are always worth storing.
  const plan = await planner.plan({ ...request, ...settled } as PlannedVideo, "results");
  const { end, handOver, quota } = await countPictures(1, {
    limits,
    key: c.get("apiKey"),
    id: repetition.job,
  });
  try {
    const opening = jobs.opening(repetition.job);
    const view = await source.open(plan.pictures[0]!, { ...opening, owner: ownerOf(tenant) });
    releaseFrames(plan.pictures, request);
    try {
      const job = await jobs.add({
        id: repetition.job,
        kind: VIDEO,
        tenant,
        facts: {
          ...videoFacts(plan.settings, { ...request, model: sent.model ?? plan.model.id, warnings }),
          ...keptRequest(sent),
          ...remixedFrom && { remixed_from: remixedFrom },
        },
        detached: true,
        viewer: opening.detached.viewer,
        webhook: sent.webhook ?? null,
        quota,
      }, { views: [view], wanted: plan.pictures });
      if (job.quota?.holder === quota?.holder) handOver();
      else await end();
      return job;
    } finally {
      view.close();
    }
  } catch (cause) {
    await end();
    throw cause;
  }
}

/** Returns a fingerprint of the request without its megabytes. */
function withoutFrames({ image, last_frame, ...rest }: VideoRequest) {
  return {
    ...rest,
    ...image && { image: image.sha256 },
    ...last_frame && { last_frame: last_frame.sha256 },
  };
}

/** Drops the bytes of the frames: the run has them, and a video may wait for hours. */
function releaseFrames(
  pictures: RunPlan["pictures"],
  { image, last_frame }: Pick<VideoRequest, "image" | "last_frame">,
): void {
  for (const { run } of pictures) {
    delete run.image;
    delete run.last_frame;
  }
  for (const frame of [image, last_frame]) if (frame) frame.base64 = "";
}

/** @throws {ApiError} 404 for what is not there, or somebody else's */
async function findVideo(c: Context<Environment>, jobs: Jobs): Promise<JobRecord> {
  try {
    const record = await jobs.find(jobId(c.req.param("id") ?? ""), c.get("tenant")!);
    if (record.kind === VIDEO) return record;
  } catch (cause) {
    if (!(cause instanceof ApiError && cause.status === 404)) throw cause;
  }
  throw new ApiError(404, "There is no such video", { code: "video_not_found" });
}

/** @throws {ApiError} 400 */
function lastEventId(header: string | undefined): number {
  if (header === undefined) return 0;
  if (/^\d{1,12}$/.test(header)) return Number(header);
  throw new ApiError(400, "Last-Event-ID must be the id of an event of this video", {
    code: "invalid_value",
  });
}
