// Pictures from POST /v1/images/generations or, where they start from an image, /v1/images/edits, as a stream
// of events. The run is a job that outlives its connection: another connection, or another page, takes it up.
import { ApiError } from "./api_error.js";
import { followEvents } from "./follow_events.js";
import { sseEvents } from "./sse_events.js";

/** Bytes that are turned into text at once. */
const CHUNK = 0x8000;

/** @import { ReconnectOptions } from "./reconnect.js" */
/** @import { ImageEvent, ImageRequest } from "./wire.d.ts" */

/**
 * @typedef {ReconnectOptions & { apiKey?: string | undefined, partialImages?: number,
 * fetch?: typeof globalThis.fetch, job?: string | undefined, onJob?: (job: string) => void }} GenerateOptions
 * `job` is a run to take up; `onJob` is told which one has begun.
 */

/**
 * Yields the events of a run; as many as there are pictures are "image_generation.completed", the last among
 * them. Aborting cancels the run.
 *
 * @param {ImageRequest} request
 * @param {GenerateOptions} [options]
 * @returns {AsyncGenerator<ImageEvent, void, void>}
 * @throws {ApiError} If the service refuses or fails, or its stream ends without a picture.
 */
export async function* generate(request, options = {}) {
  const { apiKey, signal = null, fetch = globalThis.fetch, onJob = () => {} } = options;
  /** @type {Record<string, string>} */
  const headers = apiKey ? { authorization: `Bearer ${apiKey}` } : {};
  let { job } = options;
  /** @type {Response | undefined} */
  let first;
  if (job === undefined) {
    first = await begin(request, { ...options, headers });
    job = first.headers.get("x-spectrum-job") ?? undefined;
    if (job !== undefined) onJob(job);
  }
  const cancel = () => {
    if (job === undefined) return;
    fetch(`/v1/jobs/${job}/cancel`, { method: "POST", headers, keepalive: true }).catch(() => {});
  };
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    const events = job === undefined && first?.body
      ? sseEvents(first.body.pipeThrough(new TransformStream(), signal ? { signal } : {}))
      : followEvents(`/v1/jobs/${job}/events`, { ...options, headers, first });
    let missing = request.n ?? 1;
    for await (const { event, data } of events) {
      const body = JSON.parse(data);
      if (event === "error" || body.error) throw new ApiError(body);
      body.type = body.type.replace(/^image_edit\./, "image_generation.");
      if (body.type === "image_generation.completed") missing--;
      yield body;
      if (missing === 0) return;
    }
  } finally {
    signal?.removeEventListener("abort", cancel);
  }
  throw new ApiError({ error: { message: "The connection ended before the picture was finished" } });
}

/**
 * The answer to the request. An abort before the answer cancels the run as soon as the answer names it.
 *
 * @param {ImageRequest} request
 * @param {GenerateOptions & { headers: Record<string, string> }} options
 * @returns {Promise<Response>}
 */
async function begin(request, { partialImages = 0, signal = null, fetch = globalThis.fetch, headers }) {
  const { references, ...rest } = request;
  const { image, control_image: control } = rest;
  const isEdit = image !== undefined || references !== undefined;
  const fields = {
    ...rest,
    ...(references && { "image[]": references }),
    // JSON holds no file.
    ...(!isEdit && control && { control_image: await dataUrl(control) }),
    stream: true,
    progress: true,
    partial_images: partialImages,
  };
  const answer = (async () => {
    const response = await post({ ...fields, background: true });
    // Without its store the service begins no jobs, and draws all the same.
    return response.status === 503 ? await post(fields) : response;
  })();
  const aborted = new Promise((_, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  const response = await Promise.race([answer, /** @type {Promise<never>} */ (aborted)]).catch((error) => {
    if (signal?.aborted) answer.then(drop, () => {});
    throw error;
  });
  if (!response.ok || response.body === null) throw await ApiError.fromResponse(response);
  return response;

  /** @param {object} fields */
  function post(fields) {
    return isEdit
      ? fetch("/v1/images/edits", { method: "POST", headers, body: toForm(fields) })
      : fetch("/v1/images/generations", {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify(fields),
      });
  }

  /** @param {Response} late */
  function drop(late) {
    const job = late.headers.get("x-spectrum-job");
    late.body?.cancel().catch(() => {});
    if (job) fetch(`/v1/jobs/${job}/cancel`, { method: "POST", headers, keepalive: true }).catch(() => {});
  }
}

/**
 * @param {File} file
 * @returns {Promise<string>}
 */
async function dataUrl(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  let binary = "";
  for (let at = 0; at < bytes.length; at += CHUNK) {
    binary += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
  }
  return `data:${file.type};base64,${btoa(binary)}`;
}

/**
 * Turns fields into a form. A value that is not text becomes its JSON, and each file of a list a part of its
 * own.
 *
 * @param {object} fields
 */
export function toForm(fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (Array.isArray(value) && value[0] instanceof File) {
      for (const file of value) form.append(name, file);
    } else {form.append(
        name,
        typeof value === "string" || value instanceof File ? value : JSON.stringify(value),
      );}
  }
  return form;
}
