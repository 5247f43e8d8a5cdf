// Serves a file from memory with ETag, conditions and ranges (RFC 9110, sections 13 and 14).
import type { Context } from "hono";
import { ApiError } from "../../protocol/wire/api_error.ts";
import { byteRange } from "./byte_range.ts";

export interface ServedBytes {
  bytes: Uint8Array<ArrayBuffer>;
  /** Content type. */
  type: string;
  cacheControl: string;
}

/** Serves the whole file or a range of it: 304 if the client has it, 416 if the range lies outside it. */
export async function serveBytes(
  c: Context,
  { bytes, type, cacheControl }: ServedBytes,
): Promise<Response> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const etag = `"${hash.toHex()}"`;
  c.header("etag", etag);
  c.header("accept-ranges", "bytes");
  c.header("cache-control", cacheControl);
  if (matches(c.req.header("if-none-match"), etag)) return c.body(null, 304);
  c.header("content-type", type);
  const ifRange = c.req.header("if-range");
  // The client has a part of another version, so it gets the whole file.
  const range = ifRange === undefined || ifRange === etag
    ? byteRange(c.req.header("range"), bytes.length)
    : undefined;
  if (range === undefined) return c.body(bytes);
  if (range === "unsatisfiable") {
    throw new ApiError(416, `This file has ${bytes.length} bytes`, {
      code: "invalid_range",
      headers: { "content-range": `bytes */${bytes.length}` },
    });
  }
  const { start, end } = range;
  c.header("content-range", `bytes ${start}-${end - 1}/${bytes.length}`);
  return c.body(bytes.subarray(start, end), 206);
}

/** Returns whether an If-None-Match names `etag`, weakly compared. */
export function matches(header: string | undefined, etag: string): boolean {
  const tags = (header ?? "").split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  return tags.includes(etag) || tags.includes("*");
}
