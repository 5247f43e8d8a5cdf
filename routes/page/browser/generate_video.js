// One video by POST /v1/videos, followed by its events, then downloaded: in the shape of a picture's stream.
import { ApiError } from "./api_error.js";
import { sseEvents } from "./sse_events.js";

/** @import { ImageEvent, ImageRequest } from "./wire.d.ts" */

/**
 * Yields the events of a run; the last is "image_generation.completed". Leaving the loop or aborting deletes the video,
 * which cancels its run.
 *
 * @param {ImageRequest} request
 * @param {{ apiKey?: string | undefined, partialImages?: number, signal?: AbortSignal,
 *   fetch?: typeof globalThis.fetch }} [options]
 * @returns {AsyncGenerator<ImageEvent, void, void>}
 * @throws {ApiError} If the service refuses or fails, or its stream ends without a video.
 */
export async function* generateVideo(request, options = {}) {
  const { apiKey, partialImages = 0, signal = null, fetch = globalThis.fetch } = options;
  /** @type {Record<string, string>} */
  const authorization = apiKey ? { authorization: `Bearer ${apiKey}` } : {};
  const created = await fetch("/v1/videos", {
    method: "POST",
    headers: { "content-type": "application/json", ...authorization },
    body: JSON.stringify({ ...request, partial_images: partialImages }),
    signal,
  });
  if (!created.ok) throw await ApiError.fromResponse(created);
  const path = `/v1/videos/${(await created.json()).id}`;
  let completed = false;
  try {
    const events = await fetch(`${path}/events`, { headers: authorization, signal });
    if (!events.ok || events.body === null) throw await ApiError.fromResponse(events);
    for await (const { event, data } of sseEvents(events.body)) {
      const body = JSON.parse(data);
      if (event === "error" || body.error) throw new ApiError(body);
      if (event !== "video.completed") {
        yield { ...body, type: event.replace(/^video\./, "image_generation.") };
        continue;
      }
      const content = await fetch(`${path}/content`, { headers: authorization, signal });
      if (!content.ok) throw await ApiError.fromResponse(content);
      completed = true;
      const { output_format, receipt } = body.video;
      yield { type: "image_generation.completed", output_format, receipt, picture: await content.blob() };
    }
  } finally {
    if (!completed) {
      fetch(path, { method: "DELETE", headers: authorization, keepalive: true }).catch(() => {});
    }
  }
  if (!completed) {
    throw new ApiError({ error: { message: "The connection ended before the video was finished" } });
  }
}
