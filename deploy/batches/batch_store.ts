// Files, batches and their results in Redis. Whatever must not be half done is one script.
import type { Redis } from "ioredis";
import {
  type Batch,
  type BatchLine,
  batchLineSchema,
  type BatchResult,
  type CreateBatch,
  MAX_BATCH_REQUESTS,
  type Page,
  type PageQuery,
  type StoredFile,
} from "../../protocol/wire/batch.ts";
import { parseJsonText } from "../../protocol/wire/text.ts";
import { ApiError } from "../../protocol/wire/api_error.ts";

export interface BatchStoreOptions {
  redis: Redis;
  /** How long files, and batches that have ended, are kept. @default 604800 */
  keepSeconds?: number;
  /** How long after its creation a batch may run. @default 86400 */
  windowSeconds?: number;
  /** Milliseconds since 1970. @default Date.now */
  now?: () => number;
}

/** How a request of a batch ended: answered, refused for good, or never tried. */
export type Outcome = "completed" | "failed" | "cancelled" | "expired";

/** What a request of a batch has to know before it is tried. */
export interface BatchState {
  status: Batch["status"] | undefined;
  expiresAt: number;
  settled: boolean;
}

const PREFIX = "spectrum:batches:";
const PAGE = 20;

/**
 * Notes the end of one request, once: who comes second changes nothing. The last one ends the batch.
 * KEYS: batch, results. ARGV: index, outcome, line, now, seconds to keep.
 */
const SETTLE = `
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local mark = ARGV[2] == 'completed' and 'o' or 'e'
if redis.call('HSETNX', KEYS[2], ARGV[1], mark .. ARGV[3]) == 0 then return 0 end
redis.call('HINCRBY', KEYS[1], ARGV[2], 1)
redis.call('HINCRBY', KEYS[1], mark .. ':bytes', #ARGV[3] + 1)
local settled = redis.call('HINCRBY', KEYS[1], 'settled', 1)
if settled < tonumber(redis.call('HGET', KEYS[1], 'total')) then return 1 end
local status = 'completed'
if redis.call('HGET', KEYS[1], 'status') == 'cancelling' then status = 'cancelled'
elseif redis.call('HEXISTS', KEYS[1], 'expired') == 1 then status = 'expired' end
redis.call('HSET', KEYS[1], 'status', status, 'finalizing_at', ARGV[4], status .. '_at', ARGV[4])
redis.call('EXPIRE', KEYS[1], ARGV[5])
redis.call('EXPIRE', KEYS[2], ARGV[5])
return 1`;

/** From one of some states into another. KEYS: batch. ARGV: number of states, states..., field, value, ... */
const MOVE = `
local status = redis.call('HGET', KEYS[1], 'status')
for i = 2, 1 + tonumber(ARGV[1]) do
  if ARGV[i] == status then
    redis.call('HSET', KEYS[1], unpack(ARGV, 2 + tonumber(ARGV[1])))
    return 1
  end
end
return 0`;

export class BatchStore {
  readonly #redis: Redis;
  readonly #options: Required<Omit<BatchStoreOptions, "redis">>;

  constructor({ redis, ...options }: BatchStoreOptions) {
    this.#redis = redis;
    this.#options = { keepSeconds: 7 * 86_400, windowSeconds: 86_400, now: Date.now, ...options };
  }

  async addFile(tenant: string, { name, text }: { name: string; text: string }): Promise<StoredFile> {
    const created_at = this.#seconds();
    const { keepSeconds } = this.#options;
    const file: StoredFile = {
      id: `file-${randomId()}`,
      object: "file",
      bytes: new TextEncoder().encode(text).length,
      created_at,
      expires_at: created_at + keepSeconds,
      filename: name,
      purpose: "batch",
      status: "processed",
      pictures: countPictures(text),
    };
    await this.#redis.multi()
      .set(key("file", file.id), JSON.stringify({ ...file, tenant }), "EX", keepSeconds)
      .set(key("content", file.id), text, "EX", keepSeconds)
      .zadd(key("files", tenant), this.#options.now(), file.id)
      .exec();
    return file;
  }

  /** @throws {ApiError} 404 */
  async file(tenant: string, id: string): Promise<StoredFile> {
    const results = resultFile(id);
    if (results !== undefined) {
      const batch = await this.batch(tenant, results.batch);
      const bytes = await this.#redis.hget(key("batch", batch.id), `${results.mark}:bytes`);
      if (bytes === null || batch.finalizing_at === null) throw fileNotFound(id);
      return {
        id,
        object: "file",
        bytes: Number(bytes),
        created_at: batch.finalizing_at,
        expires_at: batch.finalizing_at + this.#options.keepSeconds,
        filename: `${id}.jsonl`,
        purpose: "batch_output",
        status: "processed",
        pictures: 0,
      };
    }
    const text = await this.#redis.get(key("file", id));
    const { tenant: owner, ...file } = text === null ? {} as Record<string, never> : JSON.parse(text);
    if (owner !== tenant) throw fileNotFound(id);
    return file as StoredFile;
  }

  /** The newest first. */
  async files(tenant: string, query: PageQuery): Promise<Page<StoredFile>> {
    return await this.#page(key("files", tenant), query, (id) => this.file(tenant, id));
  }

  /** @throws {ApiError} 404 */
  async deleteFile(tenant: string, id: string): Promise<void> {
    await this.file(tenant, id);
    if (resultFile(id) !== undefined) {
      throw new ApiError(409, "The results of a batch go with it, when their time has come", {
        code: "file_in_use",
      });
    }
    await this.#redis.multi().del(key("file", id), key("content", id)).zrem(key("files", tenant), id).exec();
  }

  /** Its lines, each with its line feed. @throws {ApiError} 404 */
  async content(tenant: string, id: string): Promise<AsyncGenerator<string>> {
    await this.file(tenant, id);
    const results = resultFile(id);
    return results === undefined ? this.#uploaded(id) : this.#results(results);
  }

  async *#uploaded(id: string): AsyncGenerator<string> {
    yield await this.#redis.get(key("content", id)) ?? "";
  }

  /** In the order of the input; a few at a time, as pictures are large. */
  async *#results({ batch, mark }: { batch: string; mark: string }): AsyncGenerator<string> {
    const total = Number(await this.#redis.hget(key("batch", batch), "total"));
    for (let start = 0; start < total; start += PAGE) {
      const indices = Array.from(
        { length: Math.min(PAGE, total - start) },
        (_, index) => String(start + index),
      );
      for (const line of await this.#redis.hmget(key("results", batch), ...indices)) {
        if (line?.startsWith(mark)) yield `${line.slice(1)}\n`;
      }
    }
  }

  /** Not begun yet: whoever adds it to the queue begins it. @throws {ApiError} 404 for the file */
  async addBatch(tenant: string, request: CreateBatch): Promise<Batch> {
    await this.file(tenant, request.input_file_id);
    const created_at = this.#seconds();
    const id = `batch_${randomId()}`;
    const { windowSeconds, keepSeconds } = this.#options;
    await this.#redis.multi()
      .hset(key("batch", id), {
        tenant,
        request: JSON.stringify(request),
        status: "validating",
        created_at,
        expires_at: created_at + windowSeconds,
      })
      // For one that fails, or that nobody ever makes; the end of its requests sets it anew.
      .expire(key("batch", id), windowSeconds + keepSeconds)
      .zadd(key("batches", tenant), this.#options.now(), id)
      .exec();
    return await this.batch(tenant, id);
  }

  /** @throws {ApiError} 404 */
  async batch(tenant: string, id: string): Promise<Batch> {
    const fields = await this.#redis.hgetall(key("batch", id));
    if (fields.tenant === tenant) return toBatch(id, fields);
    throw new ApiError(404, `There is no batch '${id.slice(0, 60)}'`, { code: "batch_not_found" });
  }

  async batches(tenant: string, query: PageQuery): Promise<Page<Batch>> {
    return await this.#page(key("batches", tenant), query, (id) => this.batch(tenant, id));
  }

  /** Requests under way are finished; others are not begun. @throws {ApiError} 404, 409 */
  async cancel(tenant: string, id: string): Promise<Batch> {
    await this.batch(tenant, id);
    const moved = await this.#move(id, ["validating", "in_progress", "cancelling"], {
      status: "cancelling",
      cancelling_at: this.#seconds(),
    });
    if (!moved) throw new ApiError(409, "This batch has ended", { code: "batch_ended" });
    return await this.batch(tenant, id);
  }

  /** The requests of a batch that is to begin; undefined if it has failed, or ended meanwhile. */
  async begin(id: string): Promise<BatchLine[] | undefined> {
    const { status, tenant, request } = await this.#redis.hgetall(key("batch", id));
    if (request === undefined || !["validating", "in_progress", "cancelling"].includes(status!)) {
      return undefined;
    }
    const text = await this.#redis.get(key("content", JSON.parse(request).input_file_id));
    const { lines, errors } = text === null
      ? { lines: [], errors: [lineError("file_not_found", "The input file is gone", null)] }
      : readLines(text, JSON.parse(request).endpoint);
    const at = this.#seconds();
    if (errors.length > 0 || tenant === undefined) {
      const data = JSON.stringify({ object: "list", data: errors.slice(0, 100) });
      await this.#move(id, ["validating", "cancelling"], { status: "failed", failed_at: at, errors: data });
      return undefined;
    }
    await this.#redis.hset(key("batch", id), { total: lines.length, in_progress_at: at });
    await this.#move(id, ["validating"], { status: "in_progress" });
    return lines;
  }

  async state(id: string, index: number): Promise<BatchState> {
    const [[, fields], [, settled]] = await this.#redis.multi()
      .hmget(key("batch", id), "status", "expires_at")
      .hexists(key("results", id), String(index))
      .exec() as [[null, (string | null)[]], [null, number]];
    return {
      status: (fields[0] ?? undefined) as BatchState["status"],
      expiresAt: Number(fields[1] ?? 0),
      settled: settled === 1,
    };
  }

  /** @returns false if this request had ended before */
  async settle(
    { batch, index }: { batch: string; index: number },
    { outcome, ...line }: { outcome: Outcome } & BatchResult,
  ): Promise<boolean> {
    if (outcome === "expired") await this.#redis.hset(key("batch", batch), { expired: "1" });
    const args = [index, outcome, JSON.stringify(line), this.#seconds(), this.#options.keepSeconds];
    return await this.#redis.eval(SETTLE, 2, key("batch", batch), key("results", batch), ...args) === 1;
  }

  async #move(id: string, from: string[], to: Record<string, string | number>): Promise<boolean> {
    const fields = Object.entries(to).flat();
    return await this.#redis.eval(MOVE, 1, key("batch", id), from.length, ...from, ...fields) === 1;
  }

  /** What has expired is dropped from the index on the way. */
  async #page<T extends { id: string }>(
    index: string,
    { after, limit }: PageQuery,
    find: (id: string) => Promise<T>,
  ): Promise<Page<T>> {
    const rank = after === undefined ? -1 : await this.#redis.zrevrank(index, after);
    if (rank === null) throw new ApiError(400, "'after' must be an id of this list", { param: "after" });
    const ids = await this.#redis.zrevrange(index, rank + 1, rank + 1 + limit);
    const found = await Promise.all(
      ids.slice(0, limit).map((id) =>
        find(id).catch(async (cause) => {
          if (!(cause instanceof ApiError) || cause.status !== 404) throw cause;
          await this.#redis.zrem(index, id);
          return undefined;
        })
      ),
    );
    const data = found.filter((item) => item !== undefined);
    return {
      object: "list",
      data,
      first_id: data[0]?.id ?? null,
      last_id: data.at(-1)?.id ?? null,
      has_more: ids.length > limit,
    };
  }

  #seconds(): number {
    return Math.floor(this.#options.now() / 1000);
  }
}

function key(kind: string, id: string): string {
  return `${PREFIX}${kind}:${id}`;
}

function randomId(): string {
  return crypto.getRandomValues(new Uint8Array(12)).toHex();
}

/** The batch whose results a file is. */
function resultFile(id: string): { batch: string; mark: "o" | "e" } | undefined {
  const [, batch, kind] = /^file-(batch_[0-9a-f]{24})-(output|error)$/.exec(id) ?? [];
  return batch === undefined ? undefined : { batch, mark: kind === "output" ? "o" : "e" };
}

function toBatch(id: string, fields: Record<string, string>): Batch {
  const { input_file_id, endpoint, completion_window, metadata } = JSON.parse(fields.request!) as CreateBatch;
  const number = (name: string) => Number(fields[name] ?? 0);
  const moment = (name: string) => fields[name] === undefined ? null : Number(fields[name]);
  const ended = fields.finalizing_at !== undefined;
  return {
    id,
    object: "batch",
    endpoint,
    errors: fields.errors === undefined ? null : JSON.parse(fields.errors),
    input_file_id,
    completion_window,
    status: fields.status as Batch["status"],
    output_file_id: ended && fields["o:bytes"] !== undefined ? `file-${id}-output` : null,
    error_file_id: ended && fields["e:bytes"] !== undefined ? `file-${id}-error` : null,
    created_at: number("created_at"),
    in_progress_at: moment("in_progress_at"),
    expires_at: number("expires_at"),
    finalizing_at: moment("finalizing_at"),
    completed_at: moment("completed_at"),
    failed_at: moment("failed_at"),
    expired_at: moment("expired_at"),
    cancelling_at: moment("cancelling_at"),
    cancelled_at: moment("cancelled_at"),
    request_counts: { total: number("total"), completed: number("completed"), failed: number("failed") },
    metadata: metadata ?? null,
  };
}

type LineError = NonNullable<Batch["errors"]>["data"][number];

function lineError(code: string, message: string, line: number | null): LineError {
  return { code, message, param: null, line };
}

/** Every line, or what is wrong with them. */
function readLines(text: string, endpoint: string): { lines: BatchLine[]; errors: LineError[] } {
  const lines: BatchLine[] = [];
  const errors: LineError[] = [];
  const ids = new Set<string>();
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue;
    const parsed = batchLineSchema.safeParse(parseJson(line));
    const number = index + 1;
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      errors.push(
        lineError("invalid_request", `${issue!.path.join(".") || "line"}: ${issue!.message}`, number),
      );
    } else if (parsed.data.url !== endpoint) {
      errors.push(lineError("mismatched_endpoint", `The batch is for ${endpoint}`, number));
    } else if (ids.has(parsed.data.custom_id)) {
      errors.push(lineError("duplicate_custom_id", "Each custom_id must be used once", number));
    } else if (parsed.data.body.stream) {
      errors.push(lineError("invalid_request", "body.stream: a batch has nobody to stream to", number));
    } else if (parsed.data.body.background === true) {
      errors.push(lineError("invalid_request", "body.background: a batch waits for its pictures", number));
    } else {
      ids.add(parsed.data.custom_id);
      lines.push(parsed.data);
    }
  }
  if (lines.length === 0 && errors.length === 0) {
    errors.push(lineError("empty_file", "There are no requests", null));
  }
  if (lines.length > MAX_BATCH_REQUESTS) {
    errors.push(lineError("too_many_requests", `A batch takes ${MAX_BATCH_REQUESTS} requests`, null));
  }
  return { lines, errors };
}

function parseJson(text: string): unknown {
  try {
    return parseJsonText(text);
  } catch {
    return undefined;
  }
}

/** What is no request asks for none: the batch fails for it. */
function countPictures(text: string): number {
  let pictures = 0;
  for (const line of text.split("\n")) {
    const n = (parseJson(line) as { body?: { n?: unknown } } | undefined | null)?.body?.n;
    if (line.trim() !== "") pictures += typeof n === "number" && n > 1 ? Math.floor(n) : 1;
  }
  return pictures;
}

function fileNotFound(id: string): ApiError {
  return new ApiError(404, `There is no file '${id.slice(0, 60)}'`, { code: "file_not_found" });
}
