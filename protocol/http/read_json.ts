// Reads a JSON body.
import { ApiError } from "../wire/api_error.ts";
import { parseJsonText } from "../wire/text.ts";
import { readBody, type ReadBodyOptions } from "./read_body.ts";

export interface ReadJsonOptions extends ReadBodyOptions {
  /** Whether the content type may be any, or missing. @default false */
  anyType?: boolean;
}

/** Deepest nesting of a body. JSON.parse takes any depth, but code that walks its result recursively does not. */
const MAX_DEPTH = 32;

/**
 * Reads and parses the body of `request`.
 * @throws {ApiError} 400 unless it is JSON in UTF-8, 408 past the deadline, 413 past the limit, 415 for another content type.
 */
export async function readJson(request: Request, options: ReadJsonOptions = {}): Promise<unknown> {
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
  let value: unknown;
  try {
    value = parseJsonText(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
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

function isDeeper(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return depth === 0 || Object.values(value).some((inner) => isDeeper(inner, depth - 1));
}
