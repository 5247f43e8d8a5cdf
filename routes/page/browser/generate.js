// One picture from POST /v1/images/generations or, where it starts from an image, /v1/images/edits, as a stream of events.
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
  const fields = { ...request, stream: true, progress: true, partial_images: partialImages };
  const authorization = apiKey && { authorization: `Bearer ${apiKey}` };
  const response = request.image
    ? await fetch("/v1/images/edits", {
      method: "POST",
      headers: { ...authorization },
      body: toForm(fields),
      signal,
    })
    : await fetch("/v1/images/generations", {
      method: "POST",
      headers: { "content-type": "application/json", ...authorization },
      body: JSON.stringify(fields),
      signal,
    });
  if (!response.ok || response.body === null) throw await ApiError.fromResponse(response);

  let completed = false;
  for await (const { event, data } of sseEvents(response.body)) {
    const body = JSON.parse(data);
    if (event === "error" || body.error) throw new ApiError(body);
    body.type = body.type.replace(/^image_edit\./, "image_generation.");
    completed ||= body.type === "image_generation.completed";
    yield body;
  }
  if (!completed) {
    throw new ApiError({ error: { message: "The connection ended before the picture was finished" } });
  }
}

/**
 * What is no text is JSON's text in a form.
 *
 * @param {object} fields
 */
function toForm(fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    form.append(name, typeof value === "string" || value instanceof File ? value : JSON.stringify(value));
  }
  return form;
}
