// Reads a JSON body.
import { ApiError } from "../wire/api_error.ts";
import { parseJsonText } from "../wire/text.ts";
import { readBody, type ReadBodyOptions } from "./read_body.ts";

export interface ReadJsonOptions extends ReadBodyOptions {
  /** Whether the content type may be any, or missing. @default false */
  anyType?: boolean;
}

/**
 * Deepest nesting of a body. JSON.parse takes any depth, but code that walks its result recursively does not.
 */
const MAX_DEPTH = 32;
const UTF8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Reads and parses the body of `request`.
 * @throws {ApiError} 400 unless it is JSON in UTF-8, 408 past the deadline, 413 past the limit, 415
 * for another content type.
 */
export async function readJson(request: Request, options: ReadJsonOptions = {}): Promise<unknown> {
  return parseJsonBody(await readJsonText(request, options));
}

/** Returns the text of a JSON body, unparsed. @throws {ApiError} as `readJson` */
export async function readJsonText(request: Request, options: ReadJsonOptions = {}): Promise<string> {
  const { anyType = false } = options;
  const type = request.headers.get("content-type") ?? "none";
  if (!anyType && !/^application\/json\s*(;|$)/i.test(type)) {
    throw new ApiError(
      415,
      `The content type must be application/json: current value is ${type.slice(0, 60)}`,
      {
        code: "unsupported_media_type",
      },
    );
  }
  const bytes = await readBody(request, options);
  try {
    return UTF8.decode(bytes);
  } catch (cause) {
    throw notJson(cause);
  }
}

/** Parses JSON that a client has sent. @throws {ApiError} 400 unless `text` is JSON that is not too deep */
export function parseJsonBody(text: string): unknown {
  let value: unknown;
  try {
    value = parseJsonText(text);
  } catch (cause) {
    throw notJson(cause);
  }
  if (isDeeper(value, MAX_DEPTH)) {
    throw new ApiError(400, `The request body must be nested at most ${MAX_DEPTH} deep`, {
      code: "invalid_json",
    });
  }
  return value;
}

function notJson(cause: unknown): ApiError {
  return new ApiError(400, "The request body must be JSON in UTF-8", { code: "invalid_json", cause });
}

function isDeeper(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return depth === 0 || Object.values(value).some((inner) => isDeeper(inner, depth - 1));
}
