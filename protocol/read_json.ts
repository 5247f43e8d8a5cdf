// Reads a JSON body with a limit in bytes and a deadline: Deno.serve has neither, and Content-Length may lie.
import { ApiError } from "./api_error.ts";

export interface ReadJsonOptions {
  /** @default 262144 */
  maxBytes?: number;
  /** For the whole body to arrive. @default 10000 */
  deadlineMs?: number;
}

/**
 * Nesting that no valid request comes near. JSON.parse itself takes any depth; what walks its result recursively does not.
 */
const MAX_DEPTH = 32;

/**
 * The body of `request`.
 * @throws {ApiError} 400 unless it is JSON in UTF-8, 408 past the deadline, 413 past the limit, 415 for another content type.
 */
export async function readJson(request: Request, options: ReadJsonOptions = {}): Promise<unknown> {
  const { maxBytes = 256 * 1024, deadlineMs = 10_000 } = options;
  const type = request.headers.get("content-type") ?? "none";
  if (!/^application\/json\s*(;|$)/i.test(type)) {
    throw new ApiError(
      415,
      `The content type must be application/json: current value is ${type.slice(0, 60)}`,
      {
        code: "unsupported_media_type",
      },
    );
  }
  const bytes = await readBytes(request, { maxBytes, deadlineMs });
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new ApiError(400, "The request body must be JSON in UTF-8", { code: "invalid_json", cause });
  }
  if (isDeeper(value, MAX_DEPTH)) {
    throw new ApiError(400, `The request body must be nested at most ${MAX_DEPTH} deep`, {
      code: "invalid_json",
    });
  }
  return value;
}

async function readBytes(request: Request, { maxBytes, deadlineMs }: Required<ReadJsonOptions>) {
  const tooLarge = () =>
    new ApiError(413, `The request body must have at most ${maxBytes} bytes`, { code: "request_too_large" });
  if (Number(request.headers.get("content-length") ?? 0) > maxBytes) throw tooLarge();
  if (request.body === null) return new Uint8Array();

  const reader = request.body.getReader();
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(
      new ApiError(408, `The request body must arrive within ${deadlineMs} ms`, { code: "request_timeout" }),
    );
  }, deadlineMs);
  const chunks: Uint8Array[] = [];
  let filled = 0;
  try {
    while (true) {
      const { done, value } = await Promise.race([reader.read(), late]);
      if (done) return concat(chunks, filled);
      filled += value.length;
      if (filled > maxBytes) throw tooLarge();
      chunks.push(value);
    }
  } catch (cause) {
    reader.cancel().catch(() => {});
    if (cause instanceof ApiError) throw cause;
    throw new ApiError(400, "The request body ended early", { code: "incomplete_body", cause });
  } finally {
    clearTimeout(timer);
  }
}

function concat(chunks: Uint8Array[], length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

function isDeeper(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return depth === 0 || Object.values(value).some((inner) => isDeeper(inner, depth - 1));
}
