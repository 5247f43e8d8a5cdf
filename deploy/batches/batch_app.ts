// The batch service's HTTP surface, for edges only: the calls that routes/batches/ forwards, with
// their tenant.
import { type Context, Hono } from "hono";
import { ApiError } from "../../protocol/wire/api_error.ts";
import { batchOrderSchema, MAX_BATCH_FILE_BYTES, pageQuerySchema } from "../../protocol/wire/batch.ts";
import { parseWire } from "../../protocol/wire/parse_wire.ts";
import { handleError } from "../../protocol/http/handle_error.ts";
import { readBody } from "../../protocol/http/read_body.ts";
import { readJson } from "../../protocol/http/read_json.ts";
import { requireSignature } from "../../protocol/http/require_signature.ts";
import type { Nonces } from "../../protocol/http/nonce_store.ts";
import type { Log } from "../../protocol/process/structured_log.ts";
import type { BatchKeeper } from "./batch_keeper.ts";
import type { BatchMetrics } from "./batch_metrics.ts";
import type { BatchStore } from "./batch_store.ts";
import type { FileStore } from "./file_store.ts";
import type { RequestQueue } from "./request_queue.ts";
import { limitUploads } from "./limit_uploads.ts";
import { fullStore } from "./store_room.ts";

export interface BatchAppOptions {
  files: FileStore;
  store: BatchStore;
  queue: RequestQueue;
  keeper: Pick<BatchKeeper, "look">;
  metrics: BatchMetrics;
  log: Log;
  /** The secret that calls must be signed with. @default every call is served */
  secret?: string | undefined;
  /** Nonces of signed calls, for all processes of the service. @default this process's own memory */
  nonces?: (Nonces & { name(): Promise<string | undefined> }) | undefined;
}

/** Milliseconds for a file to arrive from an edge. */
const DEADLINE_MS = 60_000;

export function createBatchApp(
  { files, store, queue, keeper, metrics, log, secret, nonces }: BatchAppOptions,
): Hono {
  const app = new Hono();
  const limits = { maxBytes: MAX_BATCH_FILE_BYTES, deadlineMs: DEADLINE_MS };
  app.use("/files", limitUploads());
  if (secret !== undefined) {
    app.use(
      requireSignature(secret, { ...limits, ...nonces && { nonces, instance: () => nonces.name() } }),
    );
  }

  app.post("/files", async (c) => {
    const bytes = await readBody(c.req.raw, limits);
    return c.json(await files.add(tenant(c), { name: c.req.query("name") ?? "requests.jsonl", bytes }));
  });
  app.get(
    "/files",
    async (c) => c.json(await files.files(tenant(c), parseWire(pageQuerySchema, c.req.query()))),
  );
  app.get("/files/:id", async (c) => c.json(await store.file(tenant(c), c.req.param("id"))));
  app.get("/files/:id/content", async (c) => {
    const content = await store.content(tenant(c), c.req.param("id"));
    return c.body(ReadableStream.from(content), 200, { "content-type": "application/jsonl" });
  });
  app.delete("/files/:id", async (c) => {
    await store.deleteFile(tenant(c), c.req.param("id"));
    return c.body(null, 204);
  });
  app.post("/batches", async (c) => {
    return c.json(await store.add(tenant(c), parseWire(batchOrderSchema, await readJson(c.req.raw))));
  });
  app.get(
    "/batches",
    async (c) => c.json(await store.batches(tenant(c), parseWire(pageQuerySchema, c.req.query()))),
  );
  app.get("/batches/:id", async (c) => c.json(await store.batch(tenant(c), c.req.param("id"))));
  app.post("/batches/:id/cancel", async (c) => {
    const batch = await store.cancel(tenant(c), c.req.param("id"));
    keeper.look();
    return c.json(batch);
  });

  app.get("/metrics", async (c) => c.text(await metrics.text()));
  app.get("/healthz", (c) => c.json({ status: "ok" }));
  app.get("/readyz", async (c) => {
    const counts = await queue.counts().catch(() => undefined);
    return c.json({ status: counts ? "ready" : "unavailable", ...counts }, counts ? 200 : 503);
  });
  app.notFound(() => new ApiError(404, "There is no such endpoint", { code: "not_found" }).toResponse());
  const handle = handleError({ log });
  app.onError((cause, c) => handle(fullStore(cause) ?? cause, c));
  return app;
}

/**
 * Returns the owner that a call is about: the edge's word, signed as part of the address.
 * @throws {ApiError} 400
 */
function tenant(c: Context): string {
  const name = c.req.query("tenant") ?? "";
  if (/^[\w-]{1,64}$/.test(name)) return name;
  throw new ApiError(400, "'tenant' is missing", { param: "tenant" });
}
