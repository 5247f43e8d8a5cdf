// /files and /batches in OpenAI's shape. The batch service keeps them; here callers
// are told apart and counted.
import { type Context, Hono } from "hono";
import { ApiError } from "../../protocol/wire/api_error.ts";
import {
  type Batch,
  createBatchSchema,
  type FileObject,
  MAX_BATCH_FILE_BYTES,
  pageQuerySchema,
  type StoredFile,
} from "../../protocol/wire/batch.ts";
import { parseWire } from "../../protocol/wire/parse_wire.ts";
import { decodeText, TextError } from "../../protocol/wire/text.ts";
import { readForm } from "../../protocol/http/read_form.ts";
import { readJson, type ReadJsonOptions } from "../../protocol/http/read_json.ts";
import type { Environment } from "../middleware/environment.ts";
import { checkWebhook, type Webhooks } from "../jobs/webhooks.ts";
import type { KeyLimits } from "../keys/key_limits.ts";
import type { BatchCaller, BatchClient } from "./batch_client.ts";

export interface BatchRoutesOptions extends ReadJsonOptions {
  /** Undefined: this edge has no batch service. */
  batches: BatchClient | undefined;
  limits: KeyLimits;
  /** Undefined: webhooks cannot be called. */
  webhooks?: Webhooks | undefined;
}

/** For a file to arrive over a slow line. */
const DEADLINE_MS = 60_000;

export function batchRoutes(options: BatchRoutesOptions): Hono<Environment> {
  const { limits } = options;
  const app = new Hono<Environment>();
  const service = (): BatchClient => {
    if (options.batches !== undefined) return options.batches;
    throw new ApiError(503, "This server has no batch service", { code: "batches_unavailable" });
  };

  app.post("/files", async (c) => {
    const { name, text } = await readUpload(c.req.raw);
    return c.json(shown(await service().addFile(caller(c), { name, text })));
  });
  app.get("/files", async (c) => {
    const page = await service().files(caller(c), pageQuery(c));
    return c.json({ ...page, data: page.data.map(shown) });
  });
  app.get("/files/:id", async (c) => c.json(shown(await service().file(caller(c), c.req.param("id")))));
  app.get("/files/:id/content", async (c) => {
    const content = await service().content(caller(c), c.req.param("id"));
    return c.body(content, 200, { "content-type": "application/jsonl" });
  });
  app.delete("/files/:id", async (c) => {
    const id = c.req.param("id");
    await service().deleteFile(caller(c), id);
    return c.json({ id, object: "file", deleted: true });
  });

  app.post("/batches", async (c) => {
    const request = parseWire(createBatchSchema, await readJson(c.req.raw, options));
    checkWebhook(request.webhook, options.webhooks);
    const { pictures } = await service().file(caller(c), request.input_file_id);
    const apiKey = c.get("apiKey");
    const id = `batch_${crypto.getRandomValues(new Uint8Array(12)).toHex()}`;
    const charged = await limits.chargePictures(apiKey, { id, holder: crypto.randomUUID(), count: pictures });
    const quota = charged && { counter: charged.counter, holder: charged.holder, count: pictures };
    let begun: Batch | undefined | "unknown" = "unknown";
    try {
      return c.json(
        await service().create(caller(c), { ...request, id, quota, file_metadata: apiKey?.metadata }),
      );
    } catch (cause) {
      begun = await findBegun(service(), { caller: caller(c), id, cause });
      if (begun !== undefined) return c.json(begun);
      throw cause;
    } finally {
      // The service says that a batch lives which it has begun. Where this cannot be told, the lease does.
      if (charged !== null && begun !== undefined) limits.handOver(charged);
      if (charged !== null && begun === undefined) {
        await limits.settlePictures({ ...charged, delivered: [], done: "holder" });
      }
    }
  });
  app.get("/batches", async (c) => c.json(await service().batches(caller(c), pageQuery(c))));
  app.get("/batches/:id", async (c) => c.json(await service().batch(caller(c), c.req.param("id"))));
  app.post("/batches/:id/cancel", async (c) => c.json(await service().cancel(caller(c), c.req.param("id"))));
  return app;
}

function caller(c: Context<Environment>): BatchCaller {
  return { tenant: c.get("tenant")!, requestId: c.get("requestId") };
}

/**
 * A service that did not answer may have begun the batch all the same. undefined: it has not.
 * @throws {ApiError} `cause`, where it cannot be told
 */
async function findBegun(
  service: BatchClient,
  { caller, id, cause }: { caller: BatchCaller; id: string; cause: unknown },
): Promise<Batch | undefined> {
  if (!(cause instanceof ApiError) || cause.code !== "batches_unavailable") return undefined;
  try {
    return await service.batch(caller, id);
  } catch (again) {
    if (again instanceof ApiError && again.status === 404) return undefined;
    throw cause;
  }
}

/** @throws {ApiError} 400 */
function pageQuery(c: Context): Record<string, string> {
  const { after, limit } = parseWire(pageQuerySchema, c.req.query());
  return { limit: String(limit), ...after !== undefined && { after } };
}

function shown({ pictures: _, ...file }: StoredFile): FileObject {
  return file;
}

/** @throws {ApiError} */
async function readUpload(request: Request): Promise<{ name: string; text: string }> {
  const form = await readForm(request, { maxBytes: MAX_BATCH_FILE_BYTES, deadlineMs: DEADLINE_MS });
  const [purpose, file] = [form.get("purpose"), form.get("file")];
  if (purpose !== "batch") throw refusal("purpose", "'purpose' must be batch: files are for batches only");
  if (!(file instanceof File)) throw refusal("file", "'file' must be a file");
  try {
    const text = decodeText(await file.bytes());
    return { name: file.name.slice(0, 200).toWellFormed() || "requests.jsonl", text };
  } catch (cause) {
    if (!(cause instanceof TextError)) throw cause;
    throw refusal("file", `'file' must be text, one request in JSON a line: ${cause.message}`);
  }
}

function refusal(param: string, message: string): ApiError {
  return new ApiError(400, message, { param, code: "invalid_value" });
}
