// GET /files/NAME: stored pictures by signed address, without a key; with ETag, ranges and a lifetime for caches.
import { type Context, Hono } from "hono";
import { secureHeaders } from "hono/secure-headers";
import { ApiError } from "../../protocol/api_error.ts";
import { CONTENT_TYPES } from "../../protocol/generation_fields.ts";
import type { Environment } from "../environment.ts";
import type { ResultStore } from "../../protocol/results/result_store.ts";
import { byteRange } from "./byte_range.ts";
import type { SignedUrls } from "./signed_urls.ts";

export interface FileRoutesOptions {
  urls: SignedUrls;
  results: ResultStore;
}

/** Who has the address may show the picture anywhere; scripts in it, were there any, run nowhere. */
const headers = secureHeaders({
  contentSecurityPolicy: { defaultSrc: ["'none'"], sandbox: [] },
  crossOriginResourcePolicy: "cross-origin",
  // Whether this origin has TLS is for the proxy in front to say.
  strictTransportSecurity: false,
});

export function fileRoutes({ urls, results }: FileRoutesOptions): Hono<Environment> {
  const app = new Hono<Environment>();
  app.get("/files/:name", headers, async (c) => {
    const name = c.req.param("name");
    const [key, extension] = name.split(".", 2) as [string, string | undefined];
    const maxAge = await checkSignature(c, { urls, name });
    const type = Object.hasOwn(CONTENT_TYPES, extension ?? "")
      ? CONTENT_TYPES[extension as keyof typeof CONTENT_TYPES]
      : undefined;
    const stored = type === undefined ? undefined : await results.get(key);
    if (stored === undefined) {
      throw new ApiError(404, "This picture is no longer stored", { code: "file_not_found" });
    }
    const bytes = Uint8Array.fromBase64(stored.b64_json);
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
    return respond(c, { bytes, etag: `"${hash.toHex()}"`, type: type!, maxAge });
  });
  return app;
}

/** Seconds left. @throws {ApiError} 403 */
async function checkSignature(
  c: Context,
  { urls, name }: { urls: SignedUrls; name: string },
): Promise<number> {
  const expires = c.req.query("expires") ?? "";
  const left = /^\d{1,12}$/.test(expires)
    ? await urls.secondsLeft({ name, expires: Number(expires) }, c.req.query("signature") ?? "")
    : undefined;
  if (left === undefined) {
    throw new ApiError(403, "The signature of this address is wrong", { code: "invalid_url" });
  }
  if (left === 0) throw new ApiError(403, "This address has expired", { code: "expired_url" });
  return left;
}

interface Served {
  bytes: Uint8Array<ArrayBuffer>;
  etag: string;
  type: string;
  maxAge: number;
}

function respond(c: Context, { bytes, etag, type, maxAge }: Served): Response {
  c.header("etag", etag);
  c.header("accept-ranges", "bytes");
  // The address is a secret of whom it was given to.
  c.header("cache-control", `private, max-age=${maxAge}, immutable`);
  if (matches(c.req.header("if-none-match"), etag)) return c.body(null, 304);
  c.header("content-type", type);
  const ifRange = c.req.header("if-range");
  // Another version than the client has a part of: it gets the whole.
  const range = ifRange === undefined || ifRange === etag
    ? byteRange(c.req.header("range"), bytes.length)
    : undefined;
  if (range === undefined) return c.body(bytes);
  if (range === "unsatisfiable") {
    const refusal = new ApiError(416, `This file has ${bytes.length} bytes`, { code: "invalid_range" })
      .toResponse();
    refusal.headers.set("content-range", `bytes */${bytes.length}`);
    return refusal;
  }
  const { start, end } = range;
  c.header("content-range", `bytes ${start}-${end - 1}/${bytes.length}`);
  return c.body(bytes.subarray(start, end), 206);
}

function matches(header: string | undefined, etag: string): boolean {
  const tags = (header ?? "").split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  return tags.includes(etag) || tags.includes("*");
}
