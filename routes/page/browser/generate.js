// One picture from POST /v1/images/generations, as a stream of events.
import { ApiError } from "./api_error.js";
import { sseEvents } from "./sse_events.js";

/** @import { ImageEvent, ImageRequest } from "./wire.d.ts" */

/**
 * Yields the events of a run; the last is "image_generation.completed". Leaving the loop or aborting cancels the run.
 *
 * @param {ImageRequest} request
 * @param {{ apiKey?: string | undefined, partialImages?: number, signal?: AbortSignal,
 *   fetch?: typeof globalThis.fetch }} [options]
 * @returns {AsyncGenerator<ImageEvent, void, void>}
 * @throws {ApiError} If the service refuses or fails, or its stream ends without a picture.
 */
export async function* generate(request, options = {}) {
  const { apiKey, partialImages = 0, signal = null, fetch = globalThis.fetch } = options;
  const response = await fetch("/v1/images/generations", {
    method: "POST",
    headers: { "content-type": "application/json", ...(apiKey && { authorization: `Bearer ${apiKey}` }) },
    body: JSON.stringify({ ...request, stream: true, progress: true, partial_images: partialImages }),
    signal,
  });
  if (!response.ok || response.body === null) throw await ApiError.fromResponse(response);

  let completed = false;
  for await (const { event, data } of sseEvents(response.body)) {
    const body = JSON.parse(data);
    if (event === "error" || body.error) throw new ApiError(body);
    completed ||= body.type === "image_generation.completed";
    yield body;
  }
  if (!completed) {
    throw new ApiError({ error: { message: "The connection ended before the picture was finished" } });
  }
}
