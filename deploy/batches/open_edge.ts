// An edge without a port: it answers the requests of batches in this process as edges elsewhere answer
// clients, with the same checks, stores and workers.
import type { Log } from "../../protocol/process/structured_log.ts";
import { createApp } from "../../routes/app.ts";
import { readEdgeConfig } from "../../routes/edge_config.ts";
import { edgeOptions } from "../../routes/edge_options.ts";
import { MemoryKeyStore } from "../../routes/keys/memory_key_store.ts";

export interface OpenEdgeOptions {
  env: (name: string) => string | undefined;
  log: Log;
}

export function openEdge({ env, log }: OpenEdgeOptions): (request: Request) => Response | Promise<Response> {
  // The edge checked the owner and counted the pictures when the batch came in.
  const key = crypto.randomUUID();
  const app = createApp({
    ...edgeOptions(readEdgeConfig(env), log),
    keys: [key],
    keyStore: new MemoryKeyStore(),
    batches: undefined,
    // A job's quota and webhook are its clients' edges' to know.
    keeper: false,
    listed: false,
    // Each request is a line of the batch's own.
    log: (level, message, fields) => message === "request" ? undefined : log(level, message, fields),
  });
  return (request) => {
    const headers = new Headers(request.headers);
    headers.set("authorization", `Bearer ${key}`);
    return app.fetch(new Request(request, { headers }));
  };
}
