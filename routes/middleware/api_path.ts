// The path of a request as this server's routes spell it. Clients get their base URL with or without /v1,
// with a slash more, or add /v1 to one that has it.
import { getPath } from "hono/utils/url";

/**
 * The API without /v1. A picture's address, /files/NAME, is no call of it: files of
 * batches begin with "file-".
 */
const WITHOUT_VERSION =
  /^\/(images|videos|models|batches|jobs)(\/|$)|^\/files(\/file-[^/.]+(\/content)?)?\/?$/;

/** Returns the path by which Hono finds the route. Paths outside the API stay as they are. */
export function apiPath(request: Request): string {
  const path = getPath(request);
  if (path.startsWith("/sdapi/")) return path.replace(/(?<=.{8})\/+$/, "");
  if (path.startsWith("/v1/") && !path.includes("//") && !path.endsWith("/") && !path.startsWith("/v1/v1/")) {
    return path;
  }
  const called = path.replace(/^\/{2,}/, "/").replace(/^\/v1\/+(v1\/+)*/, "/v1/");
  const versioned = WITHOUT_VERSION.test(called) ? `/v1${called}` : called;
  return versioned.startsWith("/v1/") ? versioned.replace(/(?<=.{4})\/+$/, "") : path;
}
