// A job's events from one connection after another: each continues behind the last event that
// the one before has brought.
import { ApiError } from "./api_error.js";
import { pause, reconnect } from "./reconnect.js";
import { sseEvents } from "./sse_events.js";

/** @import { ReconnectOptions } from "./reconnect.js" */
/** @import { SseEvent } from "./sse_events.js" */

/**
 * The service sends a comment every 15 s: a connection that is silent for longer than two of them is dead.
 */
const SILENCE_MS = 40_000;

/**
 * Yields the events of a job, from the beginning. The reader leaves the loop at the last one; the generator
 * ends by itself only where the service says that nothing follows.
 *
 * @param {string} path
 * @param {ReconnectOptions & { headers?: Record<string, string>, first?: Response | undefined,
 * fetch?: typeof globalThis.fetch, silenceMs?: number }} [options] `first` is a response that
 * brings the events already.
 * @returns {AsyncGenerator<SseEvent, void, void>}
 * @throws {ApiError} What the service refuses.
 */
export async function* followEvents(path, options = {}) {
  const { headers = {}, signal = null, fetch = globalThis.fetch, silenceMs = SILENCE_MS } = options;
  const { wait = pause, onLost = () => {} } = options;
  let response = options.first;
  let lastId = "";
  for (;;) {
    response ??= await reconnect(open, options);
    if (response.status === 204 || response.body === null) return;
    const silence = new AbortController();
    try {
      const body = watched(response.body, { silence, silenceMs, signal });
      for await (const event of sseEvents(body)) {
        lastId = event.id || lastId;
        yield event;
      }
    } catch {
      signal?.throwIfAborted();
    } finally {
      silence.abort();
    }
    response = undefined;
    onLost();
    await wait(500, signal);
  }

  async function open() {
    const position = lastId === "" ? {} : { "last-event-id": lastId };
    const response = await fetch(path, { headers: { ...headers, ...position }, signal });
    if (!response.ok) throw await ApiError.fromResponse(response);
    return response;
  }
}

/**
 * The same bytes, with an error once none have come for `silenceMs`: a laptop that wakes has
 * connections that only seem open.
 *
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} body
 * @param {{ silence: AbortController, silenceMs: number, signal: AbortSignal | null }} options
 * `silence` is aborted by who has
 *   read enough, too.
 */
function watched(body, { silence, silenceMs, signal }) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const restart = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(new TypeError("The connection is silent")), silenceMs);
  };
  restart();
  silence.signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  /** @type {TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>} */
  const watch = new TransformStream({
    transform(chunk, controller) {
      restart();
      controller.enqueue(chunk);
    },
  });
  const ends = signal ? AbortSignal.any([silence.signal, signal]) : silence.signal;
  return body.pipeThrough(watch, { signal: ends });
}
