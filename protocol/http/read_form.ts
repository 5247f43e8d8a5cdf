// Reads a multipart body.
import {
  getMultipartBoundary,
  MultipartParseError,
  MultipartParser,
  type MultipartPart,
} from "@remix-run/multipart-parser";
import { ApiError } from "../wire/api_error.ts";
import { type ReadBodyOptions, readChunks } from "./read_body.ts";

/** More than any form of this API has fields. */
const MAX_PARTS = 100;
/** Largest header of one part: its name, its file's name and its type. */
const MAX_HEADER_BYTES = 4096;
/** Largest part that is not a file. A JSON body has the same limit. */
const MAX_TEXT_BYTES = 256 * 1024;

/**
 * Reads a form of up to 100 parts. The first part too many ends the reading, as a million empty ones weigh
 * little.
 * @throws {ApiError} 400 unless it is a form, 408 past the deadline, 413 past the limit, 415 for another
 * content type.
 */
export async function readForm(request: Request, options: ReadBodyOptions): Promise<FormData> {
  const type = request.headers.get("content-type") ?? "none";
  if (!/^multipart\/form-data\s*;/i.test(type)) {
    throw new ApiError(
      415,
      `The content type must be multipart/form-data: current value is ${type.slice(0, 60)}`,
      { code: "unsupported_media_type" },
    );
  }
  const boundary = getMultipartBoundary(type)?.trim() ?? "";
  // RFC 2046.
  if (!/^[\x20-\x7e]{1,70}$/.test(boundary)) throw refusal("it names no boundary");
  const parser = new MultipartParser(boundary, {
    maxParts: MAX_PARTS,
    maxHeaderSize: MAX_HEADER_BYTES,
    // The body as a whole has a limit.
    maxFileSize: Infinity,
    maxTotalSize: Infinity,
  });
  const form = new FormData();
  try {
    for await (const chunk of readChunks(request, options)) {
      // Bytes after the last boundary do not belong to the form.
      if (isFinished(parser)) continue;
      for (const part of parser.write(chunk)) addPart(form, part);
    }
    parser.finish();
  } catch (cause) {
    if (cause instanceof ApiError) throw cause;
    throw refusal(reason(cause), cause);
  }
  return form;
}

function addPart(form: FormData, part: MultipartPart): void {
  const { name, filename, mediaType = "text/plain" } = part;
  if (name === undefined) throw new MultipartParseError("a part has no name");
  if (filename !== undefined) {
    return form.append(name, new File(part.content as BlobPart[], filename, { type: mediaType }));
  }
  if (part.size > MAX_TEXT_BYTES) {
    throw new MultipartParseError(`'${name.slice(0, 60)}' must have at most ${MAX_TEXT_BYTES} bytes`);
  }
  form.append(name, part.text);
}

/** Returns whether the form is complete, which the library reports in no other way. */
function isFinished(parser: MultipartParser): boolean {
  try {
    parser.finish();
    return true;
  } catch {
    return false;
  }
}

function reason(cause: unknown): string {
  return cause instanceof MultipartParseError ? cause.message.slice(0, 200) : "it cannot be read";
}

function refusal(reason: string, cause?: unknown): ApiError {
  return new ApiError(400, `The request body must be a multipart form: ${reason}`, {
    code: "invalid_form",
    cause,
  });
}
