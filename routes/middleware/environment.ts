// The variables of a request that the edge's routes use.
import type { Log } from "../../protocol/process/structured_log.ts";
import type { KeyRecord } from "../keys/key_store.ts";

/** The tenant of programs that are served without a key. */
export const LOCAL_TENANT = "local";

/** Hono's generic: `c.env` is what Deno.serve hands its handler, `c.var` what the middlewares found out. */
export interface Environment {
  Bindings: { remoteAddr?: Deno.Addr; completed?: Promise<void> };
  Variables: {
    requestId: string;
    /** When the request arrived. Milliseconds of performance.now(). */
    startedAt: number | undefined;
    /** Whence the pictures come, for the log. */
    cache: string | undefined;
    /** The body of a request for pictures, once it is read. */
    jsonText: string | undefined;
    /**
     * The answer has every header already. A look at the headers of an answer makes Deno give up the form in
     * which it sends one fastest.
     */
    hasHeaders: boolean | undefined;
    log: Log;
    /**
     * Undefined for plain keys of the environment and for this machine's own programs: all scopes, no limits.
     */
    apiKey: KeyRecord | undefined;
    /** The owner whose jobs and repetitions a request may know: the id of its key, or what stands for one. */
    tenant: string | undefined;
  };
}
