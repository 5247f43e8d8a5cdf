// Limits the bytes of request bodies that this edge holds. An image is held several
// times on its way to a worker.
import type { MiddlewareHandler } from "hono";
import { ApiError } from "../../protocol/wire/api_error.ts";
import { MAX_BATCH_FILE_BYTES } from "../../protocol/wire/batch.ts";
import { MAX_IMAGE_BYTES } from "../../protocol/wire/run_request.ts";
import type { Environment } from "./environment.ts";

export interface LimitUploadsOptions {
  /** @default 50331648 */
  bytesPerTenant?: number;
  /** @default 100663296 */
  bytesInAll?: number;
}

/** Smaller bodies than this are not counted: `limitConnections` bounds them. */
const MIN_BYTES = 256 * 1024;

/**
 * Creates the middleware that limits the bytes of bodies in memory. It comes after `authenticate` and before
 * anything that reads a body. The bytes count until the answer, or its stream, begins.
 */
export function limitUploads(
  { bytesPerTenant = 48 * 2 ** 20, bytesInAll = 96 * 2 ** 20 }: LimitUploadsOptions = {},
): MiddlewareHandler<Environment> {
  const byTenant = new Map<string, number>();
  let all = 0;
  return async (c, next) => {
    const bytes = announcedBytes(c.req.raw);
    if (bytes <= MIN_BYTES) return await next();
    const tenant = c.get("tenant") ?? "";
    const own = byTenant.get(tenant) ?? 0;
    // One upload alone always passes: its reader has a limit of its own.
    if (own > 0 && own + bytes > bytesPerTenant) throw refusal("of this API key");
    if (all > 0 && all + bytes > bytesInAll) throw refusal("of all clients");
    byTenant.set(tenant, own + bytes);
    all += bytes;
    try {
      await next();
    } finally {
      all -= bytes;
      const left = byTenant.get(tenant)! - bytes;
      if (left > 0) byTenant.set(tenant, left);
      else byTenant.delete(tenant);
    }
  };
}

const JSON_WITH_IMAGE = /\/images\/generations$/;

/** Returns Content-Length, or the largest allowed body without one. */
function announcedBytes(request: Request): number {
  const { headers, url } = request;
  const length = headers.get("content-length");
  // A body above every limit is refused unread.
  if (length !== null) return Number(length) > MAX_BATCH_FILE_BYTES ? 0 : Number(length);
  // Asking for the body makes a stream of it, which costs small requests more than reading it.
  if (
    request.method === "GET" || request.body === null
  ) return 0;
  const { pathname } = new URL(url);
  const isForm = /^multipart\//i.test(headers.get("content-type") ?? "");
  if (!isForm) return JSON_WITH_IMAGE.test(pathname) ? MAX_IMAGE_BYTES : 0;
  return pathname.endsWith("/files") ? MAX_BATCH_FILE_BYTES : MAX_IMAGE_BYTES;
}

function refusal(whose: string): ApiError {
  return new ApiError(429, `Too many bytes of uploads ${whose} are under way at this server`, {
    code: "too_many_uploads",
    retryAfter: 1,
  });
}
