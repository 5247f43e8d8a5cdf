// GET /files/NAME: stored pictures by signed address, without a key; with ETag, ranges
// and a lifetime for caches.
import { type Context, Hono } from "hono";
import { secureHeaders } from "hono/secure-headers";
import { ApiError } from "../../protocol/wire/api_error.ts";
import { CONTENT_TYPES } from "../../protocol/wire/generation_fields.ts";
import type { Environment } from "../middleware/environment.ts";
import type { ResultStore } from "../../protocol/store/results/result_store.ts";
import { serveBytes } from "./serve_bytes.ts";
import type { SignedUrls } from "./signed_urls.ts";

export interface FileRoutesOptions {
  urls: SignedUrls;
  results: ResultStore;
}

/** Any page with the address may show the picture. Scripts in it would not run. */
const headers = secureHeaders({
  contentSecurityPolicy: { defaultSrc: ["'none'"], sandbox: [] },
  crossOriginResourcePolicy: "cross-origin",
  // Only the proxy in front knows whether this origin has TLS.
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
    // The address is a secret of the client that it was given to.
    return serveBytes(c, { bytes, type: type!, cacheControl: `private, max-age=${maxAge}, immutable` });
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
