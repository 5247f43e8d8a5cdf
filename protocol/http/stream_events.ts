// Server-sent events as both processes write them: headers at once, ids, one retry,
// comments while nothing happens.
import type { Context } from "hono";
import { streamSSE } from "hono/streaming";

/** One event. `event` and `id` hold no line breaks. */
export interface SseMessage {
  id?: string;
  event: string;
  /** JSON text: one line. */
  data: string;
}

export interface StreamEventsOptions {
  /** Milliseconds between comments that keep idle connections open. @default 15000 */
  heartbeatMs?: number;
  /** Milliseconds that a browser waits before it reconnects. @default 2000 */
  retryMs?: number;
}

/**
 * Answers with what `messages` yields until it ends. It gets a signal that aborts once the client has gone,
 * and must not throw: what it has to say of a failure is an event.
 *
 * Messages are pulled: a slow reader slows its own stream only.
 */
export function streamEvents(
  c: Context,
  messages: (signal: AbortSignal) => AsyncIterable<SseMessage>,
  options: StreamEventsOptions = {},
): Response {
  const { heartbeatMs = 15_000, retryMs = 2000 } = options;
  // Hono answers HEAD through the route of GET and leaves the body unread: nobody follows.
  const response = c.req.method === "HEAD"
    ? c.body(null, 200, { "content-type": "text/event-stream" })
    : streamSSE(c, async (stream) => {
      const gone = new AbortController();
      stream.onAbort(() => gone.abort());
      // Sent at once, so that the headers go too, but in the first event's block. Python's openai takes
      // the end of any block for an event once it has read a retry or an id. So no block lacks data, not
      // even one of comments.
      await stream.write(`retry: ${retryMs}\n`);
      const heartbeat = setInterval(() => stream.write(":\n"), heartbeatMs);
      try {
        for await (const message of messages(gone.signal)) {
          if (stream.aborted) break;
          await stream.writeSSE(message);
        }
      } finally {
        clearInterval(heartbeat);
        gone.abort();
      }
    });
  response.headers.set("cache-control", "no-cache, no-transform");
  response.headers.set("x-accel-buffering", "no");
  return response;
}
