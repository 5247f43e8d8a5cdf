// Reads a body with a limit in bytes and a deadline. Hono's bodyLimit has no deadline, so a client that sends
// a byte a minute would hold its place for good. It also holds a body without Content-Length whole before a
// handler sees it; forms and files of batches are read in pieces here.
import { ApiError } from "../wire/api_error.ts";
import { startDeadline } from "./start_deadline.ts";

export interface ReadBodyOptions {
  /** Largest number of bytes. @default 262144 */
  maxBytes?: number;
  /** Milliseconds for the whole body to arrive. @default 10000 */
  deadlineMs?: number;
}

const MAX_BYTES = 256 * 1024;
const DEADLINE_MS = 10_000;
/** Longest body that is read in one piece. */
const MAX_WHOLE_BYTES = 64 * 1024;

/**
 * Reads a request's body as a whole.
 * @throws {ApiError} 400 for a body that ends early, 408 past the deadline, 413 past the limit.
 */
export async function readBody(
  request: Request,
  options: ReadBodyOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const length = request.headers.get("content-length");
  if (length !== null && Number(length) <= Math.min(MAX_WHOLE_BYTES, options.maxBytes ?? MAX_BYTES)) {
    return await readWhole(request, options);
  }
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let filled = 0;
  for await (const chunk of readChunks(request, options)) {
    chunks.push(chunk);
    filled += chunk.length;
  }
  return chunks.length === 1 ? chunks[0]! : concat(chunks, filled);
}

/** A body that is no longer than its head says, without a stream: the server sees to its length. */
async function readWhole(
  request: Request,
  { deadlineMs = DEADLINE_MS }: ReadBodyOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  using deadline = startDeadline(deadlineMs, () => tooLate(deadlineMs));
  try {
    return await Promise.race([request.bytes(), deadline.passed]);
  } catch (cause) {
    throw cause instanceof ApiError ? cause : endedEarly(cause);
  }
}

/** Yields the body as it arrives. A caller that stops cancels the rest. @throws {ApiError} as `readBody` */
export async function* readChunks(
  request: Request,
  { maxBytes = MAX_BYTES, deadlineMs = DEADLINE_MS }: ReadBodyOptions = {},
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const tooLarge = () =>
    new ApiError(413, `The request body must have at most ${maxBytes} bytes`, { code: "request_too_large" });
  const length = request.headers.get("content-length");
  if (length !== null && Number(length) > maxBytes) throw tooLarge();
  if (request.body === null) return;

  const { promise: late, reject } = Promise.withResolvers<never>();
  late.catch(() => {});
  const timer = setTimeout(() => reject(tooLate(deadlineMs)), deadlineMs);
  const reader = request.body.getReader();
  let filled = 0;
  let isRead = false;
  try {
    while (true) {
      const { done, value } = await Promise.race([reader.read(), late]).catch((cause) => {
        if (cause instanceof ApiError) throw cause;
        throw endedEarly(cause);
      });
      if (done) {
        isRead = true;
        return;
      }
      filled += value.length;
      if (filled > maxBytes) throw tooLarge();
      yield value;
    }
  } finally {
    clearTimeout(timer);
    if (!isRead) reader.cancel().catch(() => {});
  }
}

function tooLate(deadlineMs: number): ApiError {
  return new ApiError(408, `The request body must arrive within ${deadlineMs} ms`, {
    code: "request_timeout",
  });
}

function endedEarly(cause: unknown): ApiError {
  return new ApiError(400, "The request body ended early", { code: "incomplete_body", cause });
}

function concat(chunks: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}
