// Gives every request an id that joins its log lines, its answer and what a client reports.
import type { MiddlewareHandler } from "hono";
import type { Environment } from "./environment.ts";
import { forRequest } from "./request_context.ts";

/** A client's own X-Request-Id is kept where it is short and plain, else replaced. */
export function requestId(): MiddlewareHandler<Environment> {
  return async (c, next) => {
    const given = c.req.header("x-request-id") ?? "";
    const id = /^[\w.:-]{8,64}$/.test(given) ? given : `req_${crypto.randomUUID().replaceAll("-", "")}`;
    c.set("requestId", id);
    await forRequest(id, next);
    // Not c.header(): once there is an answer, that copies it.
    c.res.headers.set("x-request-id", id);
  };
}
