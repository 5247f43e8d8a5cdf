// Names each request: in its answer, in log lines, and in calls of workers.
import type { MiddlewareHandler } from "hono";
import type { Environment } from "./environment.ts";

const MAX_LENGTH = 64;

/**
 * Creates the middleware that names each request. A client's own id is kept if it is short and plain. Hono's
 * middleware sets the header before the answer is there, which costs a stored picture as much as its look
 * into the store.
 */
export function requestId(): MiddlewareHandler<Environment> {
  return async (c, next) => {
    const given = c.req.header("x-request-id");
    const isPlain = given !== undefined && given.length <= MAX_LENGTH && /^[\w\-=]+$/.test(given);
    const id = isPlain ? given : `req_${crypto.randomUUID().replaceAll("-", "")}`;
    c.set("requestId", id);
    await next();
    if (!c.get("hasHeaders")) c.res.headers.set("x-request-id", id);
  };
}
