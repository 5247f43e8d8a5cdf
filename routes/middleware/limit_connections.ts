// Limits the requests of one key, or of one ticket, that this edge answers at a time. Streams hold
// connections for minutes.
import type { MiddlewareHandler } from "hono";
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { Environment } from "./environment.ts";

/**
 * Creates the middleware that limits the requests that a key or a ticket has under way. It comes after
 * `authenticate`. Keys of the environment and this machine's own programs have no limits.
 */
export function limitConnections(limit: number): MiddlewareHandler<Environment> {
  const open = new Map<string, number>();
  const leave = (id: string) => {
    const left = open.get(id)! - 1;
    if (left > 0) open.set(id, left);
    else open.delete(id);
  };
  return async (c, next) => {
    const id = c.get("apiKey")?.id ?? c.req.query("ticket");
    if (id === undefined) return await next();
    const count = open.get(id) ?? 0;
    if (count >= limit) {
      throw new ApiError(429, `This API key or ticket may have ${limit} requests under way at a time`, {
        code: "too_many_connections",
        retryAfter: 1,
      });
    }
    open.set(id, count + 1);
    // Deno.serve tells when the answer, its stream included, has been sent or the client has gone.
    const sent = c.env?.completed;
    sent?.then(() => leave(id), () => leave(id));
    try {
      await next();
    } finally {
      if (sent === undefined) leave(id);
    }
  };
}
