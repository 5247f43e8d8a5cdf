// Begins a video for a client: settles and plans the request, opens its run, and keeps it as a job.
import type { Context } from "hono";
import type { Environment } from "../middleware/environment.ts";
import { countPictures } from "../jobs/count_pictures.ts";
import type { JobRecord } from "../jobs/job_record.ts";
import type { Jobs } from "../jobs/jobs.ts";
import type { Repetitions } from "../jobs/repetitions.ts";
import { checkWebhook, type Webhooks } from "../jobs/webhooks.ts";
import type { KeyLimits } from "../keys/key_limits.ts";
import { settleVideo } from "../models/settle_request.ts";
import type { VideoRequest } from "../requests/video_request.ts";
import type { ModelCatalog } from "../runs/model_catalog.ts";
import { ownerOf } from "../runs/owner_of.ts";
import type { PlannedVideo, RunPlan, RunPlanner } from "../runs/run_planner.ts";
import type { RunSource } from "../runs/run_source.ts";
import { keptRequest } from "./remix_request.ts";
import { VIDEO, type VideoFacts, videoFacts } from "./video_object.ts";

/** The parts of the edge that make videos. */
export interface VideoServices {
  planner: RunPlanner;
  catalog: ModelCatalog;
  source: RunSource;
  jobs: Jobs;
  limits: KeyLimits;
  repetitions: Repetitions;
  /** Undefined if no video may name one. */
  webhooks: Webhooks | undefined;
}

export interface CreateVideoOptions {
  request: VideoRequest;
  /** Id of the video that this one is a remix of. */
  remixedFrom?: string;
  options: VideoServices;
}

/**
 * Creates a video's job, or finds the one that an earlier copy of the same request has created.
 * @throws {ApiError} if the request fits no model, or its key has no pictures left.
 */
export async function createVideo(
  c: Context<Environment>,
  { request: sent, remixedFrom, options }: CreateVideoOptions,
): Promise<JobRecord> {
  const { planner, catalog, jobs, repetitions } = options;
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
  const settled = {
    model: request.model ?? (await catalog.list()).find(({ video }) => video !== undefined)?.id,
    seed: repetition.seed,
    n: 1,
    stream: true,
    background: true,
    response_format: "b64_json",
  };
  // Videos are downloaded later: their results are always worth storing.
  const plan = await planner.plan({ ...request, ...settled } as PlannedVideo, "results");
  const facts = {
    ...videoFacts(plan.settings, { ...request, model: sent.model ?? plan.model.id, warnings }),
    ...keptRequest(sent),
    ...remixedFrom && { remixed_from: remixedFrom },
  };
  return await openVideo(c, { id: repetition.job, request, plan, facts, options });
}

interface OpenVideoOptions {
  /** The job's id. */
  id: string;
  request: VideoRequest;
  plan: RunPlan;
  facts: VideoFacts;
  options: VideoServices;
}

/** Counts the video, opens its run and adds its job. */
async function openVideo(
  c: Context<Environment>,
  { id, request, plan, facts, options: { source, jobs, limits } }: OpenVideoOptions,
): Promise<JobRecord> {
  const tenant = c.get("tenant")!;
  const { end, handOver, quota } = await countPictures(1, { limits, key: c.get("apiKey"), id });
  try {
    const opening = jobs.opening(id);
    const view = await source.open(plan.pictures[0]!, { ...opening, owner: ownerOf(tenant) });
    releaseFrames(plan.pictures, request);
    try {
      const job = await jobs.add({
        id,
        kind: VIDEO,
        tenant,
        facts,
        detached: true,
        viewer: opening.detached.viewer,
        webhook: request.webhook ?? null,
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
