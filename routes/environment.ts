// What the edge's routes know of a request and of the process that serves them.
import type { Log } from "../protocol/structured_log.ts";

/** Hono's generic: `c.env` is what Deno.serve hands its handler, `c.var` what the middlewares found out. */
export interface Environment {
  Bindings: { remoteAddr?: Deno.Addr };
  Variables: {
    requestId: string;
    log: Log;
  };
}
