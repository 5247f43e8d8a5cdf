// POST /images/generations and /images/edits: pictures from a prompt, or from a prompt and an image, as JSON or as a stream.
import { type Context, Hono } from "hono";
import { ApiError } from "../../protocol/api_error.ts";
import { type EditRequest, readEditRequest } from "../../protocol/edit_request.ts";
import { type ImageRequest, parseImageRequest } from "../../protocol/image_request.ts";
import { readJson, type ReadJsonOptions } from "../../protocol/read_json.ts";
import type { CompletedEvent } from "../../protocol/run_event.ts";
import { streamEvents, type StreamEventsOptions } from "../../protocol/stream_events.ts";
import type { Environment } from "../environment.ts";
import { pictureUrl } from "../files/deliver_picture.ts";
import type { SignedUrls } from "../files/signed_urls.ts";
import type { KeyLimits } from "../keys/key_limits.ts";
import type { ResultStore } from "../../protocol/results/result_store.ts";
import type { RunSource, RunView, WantedRun } from "../runs/run_source.ts";
import { imageMessages, type ImageMessagesOptions } from "./image_messages.ts";
import { type Delivered, imagesResponse } from "./image_response.ts";
import { mergePictures } from "./merge_pictures.ts";
import type { ImagePlan, ImagePlanner } from "./plan_images.ts";
import { type RequestCaching, requestCaching } from "./request_caching.ts";
import { runFailure } from "./run_failure.ts";

export interface ImageRoutesOptions extends ReadJsonOptions, StreamEventsOptions {
  planner: ImagePlanner;
  source: RunSource;
  limits: KeyLimits;
  results: ResultStore;
  urls: SignedUrls;
  /** Where clients reach this edge. @default as each request names it */
  publicUrl?: string | undefined;
}

export function imageRoutes(options: ImageRoutesOptions): Hono<Environment> {
  const app = new Hono<Environment>();

  app.post("/images/generations", async (c) => {
    const request = parseImageRequest(await readJson(c.req.raw, options));
    return await answer(c, { request, kind: "image_generation", options });
  });

  app.post("/images/edits", async (c) => {
    const request = await readEditRequest(c.req.raw, options);
    return await answer(c, { request, kind: "image_edit", options });
  });

  return app;
}

interface Answer extends Pick<ImageMessagesOptions, "kind"> {
  request: ImageRequest | EditRequest;
  options: ImageRoutesOptions;
}

async function answer(c: Context<Environment>, { request, kind, options }: Answer): Promise<Response> {
  const caching = requestCaching(c.req.header("cache-control"));
  const plan = await options.planner.plan(request, caching.store ? undefined : "none");
  const giveBack = await options.limits.takePictures(c.get("apiKey"), plan.pictures.length);
  const pictures = await openPictures(plan, { source: options.source, caching }).catch((cause) => {
    giveBack();
    throw cause;
  });
  const deliver = async (event: CompletedEvent, index: number): Promise<Delivered> => {
    if (request.response_format === "b64_json") return { b64_json: event.b64_json };
    const { results, urls, publicUrl } = options;
    const origin = new URL(publicUrl ?? c.req.url).origin;
    const key = plan.pictures[index]!.key!;
    return { url: await pictureUrl(event, { results, urls, origin, key, ...request }) };
  };
  c.header("x-spectrum-cache", cacheOf(pictures));
  const keys = plan.pictures.flatMap(({ name }) => name ?? []);
  if (keys.length > 0) c.header("x-spectrum-key", keys.join(", "));
  if (request.stream) {
    const log = c.get("log");
    return streamEvents(c, async function* (signal) {
      try {
        yield* imageMessages(mergePictures(pictures, signal), {
          request,
          settings: plan.settings,
          kind,
          deliver,
          onError: (error) => {
            giveBack();
            log("error", "stream failed", { error: String(error.cause ?? error) });
          },
        });
      } finally {
        closeAll(pictures);
      }
    }, options);
  }
  try {
    const finished = await collect(pictures, c.req.raw.signal);
    const delivered = await Promise.all(finished.map(deliver));
    return c.json(imagesResponse(finished, { request, settings: plan.settings, delivered }));
  } catch (cause) {
    // Who does not wait for pictures has had them made all the same.
    if (!c.req.raw.signal.aborted) giveBack();
    throw cause;
  } finally {
    closeAll(pictures);
  }
}

/** All or none: where one is refused, those already under way are left. */
async function openPictures(
  { pictures }: ImagePlan,
  { source, caching }: { source: RunSource; caching: RequestCaching },
): Promise<RunView[]> {
  const { maxAgeMs, onlyIfCached } = caching;
  const opened = await Promise.allSettled(
    pictures.map((wanted) =>
      onlyIfCached ? stored(wanted, { source, maxAgeMs }) : source.open(wanted, { maxAgeMs })
    ),
  );
  const open = opened.flatMap((result) => result.status === "fulfilled" ? [result.value] : []);
  const refused = opened.find((result) => result.status === "rejected");
  if (refused === undefined) return open;
  closeAll(open);
  throw refused.reason;
}

async function stored(
  { key }: WantedRun,
  { source, maxAgeMs }: { source: RunSource; maxAgeMs: number },
): Promise<RunView> {
  const view = await source.stored(key, maxAgeMs);
  if (view !== undefined) return view;
  throw new ApiError(504, "This picture is not in the store, and 'only-if-cached' forbids to make it", {
    code: "not_cached",
  });
}

/** As the header says it: "joined" if nothing had to be begun for this request. */
function cacheOf(pictures: readonly RunView[]): RunView["cache"] {
  if (pictures.every(({ cache }) => cache === "hit")) return "hit";
  return pictures.some(({ cache }) => cache === "miss") ? "miss" : "joined";
}

function closeAll(pictures: readonly RunView[]): void {
  for (const picture of pictures) picture.close();
}

/** The finished pictures in the order asked for. @throws {ApiError} what the first to fail throws */
async function collect(pictures: readonly RunView[], signal: AbortSignal): Promise<CompletedEvent[]> {
  const finished: CompletedEvent[] = [];
  for await (const { imageIndex, event } of mergePictures(pictures, signal)) {
    if (event.type === "failed" || event.type === "cancelled") throw runFailure(event);
    if (event.type === "completed") finished[imageIndex] = event;
  }
  // Nobody reads this answer.
  if (signal.aborted) throw new ApiError(499, "The client has gone", { code: "client_gone" });
  return finished;
}
