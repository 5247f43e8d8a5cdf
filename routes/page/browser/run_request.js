// Runs one request to its picture or video, shown in a view as it forms.
import { apiKey } from "./api_key.js";
import { decodeImage } from "./decode_image.js";
import { generate } from "./generate.js";
import { generateVideo } from "./generate_video.js";

/** @import { Announcer } from "./announcer.js" */
/** @import { RunView } from "./run_view.js" */
/** @import { ImageRequest, Receipt } from "./wire.d.ts" */

/** @typedef {{ request: ImageRequest, receipt: Receipt, picture: Blob }} Finished */

/**
 * Runs a request to its picture.
 *
 * @param {ImageRequest} request
 * @param {{ view: RunView, announcer: Announcer, partialImages: number, signal: AbortSignal }} options
 * @returns {Promise<Finished>}
 * @throws {import("./api_error.js").ApiError | DOMException | TypeError} What the service reports; an AbortError; no network.
 */
export function runRequest(request, { view, announcer, partialImages, signal }) {
  view.start(request);
  return apiKey.with(async (key) => {
    /** @type {Finished | undefined} */
    let finished;
    const make = request.output_format === "mp4" ? generateVideo : generate;
    for await (const event of make(request, { apiKey: key, partialImages, signal })) {
      if (event.type === "image_generation.completed") {
        const { b64_json = "", output_format, receipt } = event;
        const picture = event.picture ?? decodeImage(b64_json, output_format);
        finished = { request, receipt, picture };
        view.finish(finished);
      } else {
        view.show(event);
        announcer.progress(view.status);
      }
    }
    return /** @type {Finished} */ (finished);
  });
}
