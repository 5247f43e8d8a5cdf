// Reads a multipart body.
import { ApiError } from "../wire/api_error.ts";
import { readBody, type ReadBodyOptions } from "./read_body.ts";

/** @throws {ApiError} 400 unless it is a form, 408 past the deadline, 413 past the limit, 415 for another content type. */
export async function readForm(request: Request, options: ReadBodyOptions): Promise<FormData> {
  const type = request.headers.get("content-type") ?? "none";
  if (!/^multipart\/form-data\s*;/i.test(type)) {
    throw new ApiError(
      415,
      `The content type must be multipart/form-data: current value is ${type.slice(0, 60)}`,
      { code: "unsupported_media_type" },
    );
  }
  const body = await readBody(request, options);
  try {
    return await new Response(body, { headers: { "content-type": type } }).formData();
  } catch (cause) {
    throw new ApiError(400, "The request body must be a multipart form", { code: "invalid_form", cause });
  }
}
