// Runs one request to its pictures or its video, shown in a view as they form.
import { ApiError } from "./api_error.js";
import { apiKey } from "./api_key.js";
import { decodeImage } from "./decode_image.js";
import { generate } from "./generate.js";
import { generateVideo } from "./generate_video.js";

/** @import { RunView } from "./run_view.js" */
/** @import { ImageRequest, Receipt } from "./wire.d.ts" */

/**
 * @typedef {{ request: ImageRequest, receipt: Receipt, picture: Blob }} Finished `request`
 * makes this one picture again.
 */

/**
 * Runs a request to its pictures, in order.
 *
 * @param {ImageRequest} request
 * @param {object} options
 * @param {RunView} options.view
 * @param {number} options.partialImages
 * @param {AbortSignal} options.signal
 * @param {string | undefined} options.job The run to take up where it is, if it has begun.
 * @param {(job: string) => void} options.onJob Told which run has begun.
 * @param {() => void} options.onProgress The view has changed.
 * @returns {Promise<Finished[]>}
 * @throws {ApiError | DOMException | TypeError} What the service reports; an AbortError; no network.
 */
export async function runRequest(request, options) {
  const { view, onJob } = options;
  let { job } = options;
  view.start(request);
  const note = (/** @type {string} */ begun) => {
    job = begun;
    onJob(begun);
  };
  try {
    return await follow();
  } catch (error) {
    // A service that has started anew may have forgotten the run: the same request makes the same pictures.
    const isForgotten = error instanceof ApiError &&
      /^(job_not_found|video_not_found|results_expired)$/.test(error.code ?? "");
    if (job === undefined || !isForgotten) throw error;
    job = undefined;
    return await follow();
  }

  function follow() {
    return apiKey.with((key) => read(request, { ...options, apiKey: key, job, onJob: note }));
  }
}

/**
 * @param {ImageRequest} request
 * @param {Parameters<typeof runRequest>[1] & { apiKey: string | undefined }} options
 */
async function read(request, { view, onProgress, ...options }) {
  const { n = 1, ...one } = request;
  /** @type {Finished[]} */
  const finished = [];
  const make = request.output_format === "mp4" ? generateVideo : generate;
  const events = make(request, {
    ...options,
    onLost() {
      view.lost();
      onProgress();
    },
  });
  for await (const event of events) {
    if (event.type === "image_generation.completed") {
      const { b64_json = "", output_format, receipt, image_index = 0 } = event;
      const picture = event.picture ?? decodeImage(b64_json, output_format);
      const itself = n > 1 ? { ...one, seed: receipt.seed } : request;
      finished[image_index] = { request: itself, receipt, picture };
      view.finish({ request: itself, receipt, picture }, image_index);
    } else view.show(event);
    onProgress();
  }
  return finished;
}
