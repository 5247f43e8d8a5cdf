// One video by POST /v1/videos, followed by its events, then downloaded: in the shape of a picture's stream.
import { ApiError } from "./api_error.js";
import { followEvents } from "./follow_events.js";
import { toForm } from "./generate.js";
import { reconnect } from "./reconnect.js";

/** @import { GenerateOptions } from "./generate.js" */
/** @import { ImageEvent, ImageRequest } from "./wire.d.ts" */

/**
 * Yields the events of a run; the last is "image_generation.completed". Aborting deletes the
 * video, which cancels its run.
 *
 * @param {ImageRequest} request
 * @param {GenerateOptions} [options] `job` is a video to take up, by its id.
 * @returns {AsyncGenerator<ImageEvent, void, void>}
 * @throws {ApiError} If the service refuses or fails, or its stream ends without a video.
 */
export async function* generateVideo(request, options = {}) {
  const { apiKey, partialImages = 0, signal = null, fetch = globalThis.fetch, onJob = () => {} } = options;
  /** @type {Record<string, string>} */
  const headers = apiKey ? { authorization: `Bearer ${apiKey}` } : {};
  let { job } = options;
  if (job === undefined) {
    const { n: _one, image, last_frame, ...rest } = request;
    const fields = { ...rest, partial_images: partialImages };
    const frames = { ...(image && { input_reference: image }), ...(last_frame && { last_frame }) };
    const hasFrames = Object.keys(frames).length > 0;
    const created = await fetch("/v1/videos", {
      method: "POST",
      headers: hasFrames ? headers : { "content-type": "application/json", ...headers },
      body: hasFrames ? toForm({ ...fields, ...frames }) : JSON.stringify(fields),
      signal,
    });
    if (!created.ok) throw await ApiError.fromResponse(created);
    job = /** @type {string} */ ((await created.json()).id);
    onJob(job);
  }
  const path = `/v1/videos/${job}`;
  const cancel = () => {
    fetch(path, { method: "DELETE", headers, keepalive: true }).catch(() => {});
  };
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    for await (const { event, data } of followEvents(`${path}/events`, { ...options, headers })) {
      const body = JSON.parse(data);
      if (event === "error" || body.error) throw new ApiError(body);
      if (event !== "video.completed") {
        yield { ...body, type: event.replace(/^video\./, "image_generation.") };
        continue;
      }
      const { output_format, receipt } = body.video;
      const picture = await reconnect(download, options);
      yield { type: "image_generation.completed", output_format, receipt, picture };
      return;
    }
  } finally {
    signal?.removeEventListener("abort", cancel);
  }
  throw new ApiError({ error: { message: "The connection ended before the video was finished" } });

  async function download() {
    const content = await fetch(`${path}/content`, { headers, signal });
    if (!content.ok) throw await ApiError.fromResponse(content);
    return await content.blob();
  }
}
