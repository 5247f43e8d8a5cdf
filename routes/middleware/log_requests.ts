// One line a request: what was asked, how it was answered, how long that took. Never a prompt or a key.
import type { MiddlewareHandler } from "hono";
import type { Log } from "../../protocol/process/structured_log.ts";
import type { Environment } from "./environment.ts";

/** A stream is logged when its answer begins. */
export function logRequests(log: Log): MiddlewareHandler<Environment> {
  return async (c, next) => {
    const startedAt = performance.now();
    const request_id = c.get("requestId");
    // `authenticate` sets the key. Its id is the public part.
    const who = () => ({ request_id, key_id: c.get("apiKey")?.id });
    c.set("log", (level, message, fields) => log(level, message, { ...who(), ...fields }));
    await next();
    log("info", "request", {
      ...who(),
      method: c.req.method,
      path: c.req.path,
      status: c.res.status,
      cache: c.res.headers.get("x-spectrum-cache") ?? undefined,
      ms: Math.round((performance.now() - startedAt) * 100) / 100,
    });
  };
}
