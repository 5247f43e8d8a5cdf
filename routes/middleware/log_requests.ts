// One line a request: what was asked, how it was answered, how long that took. Never a prompt or a key.
import type { MiddlewareHandler } from "hono";
import type { Log } from "../../protocol/process/structured_log.ts";
import type { Environment } from "./environment.ts";

/** Creates the middleware that logs each answer. A stream is logged when its answer begins. */
export function logRequests(log: Log): MiddlewareHandler<Environment> {
  return async (c, next) => {
    const startedAt = performance.now();
    c.set("startedAt", startedAt);
    const request_id = c.get("requestId");
    // `authenticate` sets the key. Its id is the public part.
    const who = () => ({ request_id, key_id: c.get("apiKey")?.id });
    c.set("log", (level, message, fields) => log(level, message, { ...who(), ...fields }));
    await next();
    log("info", "request", {
      request_id,
      key_id: c.get("apiKey")?.id,
      method: c.req.method,
      path: c.req.path,
      status: c.res.status,
      cache: c.get("cache"),
      ms: Math.round((performance.now() - startedAt) * 100) / 100,
    });
  };
}
