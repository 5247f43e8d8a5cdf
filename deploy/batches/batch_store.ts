// Batches and their results in Redis, as their owners see them.
import type { Redis } from "ioredis";
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { Batch, BatchOrder, Page, PageQuery, StoredFile } from "../../protocol/wire/batch.ts";
import { KEEP_SECONDS, key, UNTOLD } from "./batch_keys.ts";
import { CANCEL, CREATE, RECORD_BYTES } from "./batch_scripts.ts";
import { fileNotFound, type FileStore } from "./file_store.ts";
import { listPage } from "./list_page.ts";
import { assertRoom } from "./store_room.ts";
import { toBatch } from "./to_batch.ts";

export interface BatchStoreOptions {
  redis: Redis;
  files: FileStore;
  /** Seconds for which a batch may run. @default 86400 */
  windowSeconds?: number;
}

/** Largest numbers of results and of their bytes that one step reads: pictures are large. */
const PAGE = { lines: 200, bytes: 4 * 2 ** 20 };

export class BatchStore {
  readonly #redis: Redis;
  readonly #files: FileStore;
  readonly #windowSeconds: number;

  constructor({ redis, files, windowSeconds = 86_400 }: BatchStoreOptions) {
    this.#redis = redis;
    this.#files = files;
    this.#windowSeconds = windowSeconds;
  }

  /**
   * Begins a batch. An order that comes twice begins a single one.
   * @throws {ApiError} 404 for the file, 503 without room
   */
  async add(tenant: string, { id, quota, ...request }: BatchOrder): Promise<Batch> {
    const { total, errors } = await this.#files.record(tenant, request.input_file_id);
    const refused = errors.length === 0 ? "" : JSON.stringify({ object: "list", data: errors });
    const requests = refused === "" ? total : 0;
    const bytes = await assertRoom(this.#redis, { tenant, bytes: refused.length + RECORD_BYTES, requests });
    const created = await this.#redis.eval(
      CREATE,
      0,
      ...[id, tenant, JSON.stringify(request), request.input_file_id, total],
      ...[refused, this.#windowSeconds, KEEP_SECONDS],
      ...[quota?.counter ?? "", quota?.holder ?? "", quota?.count ?? 0, bytes],
    );
    if (created === 0) throw fileNotFound(request.input_file_id);
    if (request.webhook !== undefined) await this.#redis.zadd(UNTOLD, "NX", 0, id);
    return await this.batch(tenant, id);
  }

  /** Reads a batch. @throws {ApiError} 404 */
  async batch(tenant: string, id: string): Promise<Batch> {
    return toBatch(id, await this.#fields(tenant, id));
  }

  /** Lists the batches of a tenant, the newest first. */
  async batches(tenant: string, query: PageQuery): Promise<Page<Batch>> {
    return await listPage({
      ...query,
      redis: this.#redis,
      index: key("batches", tenant),
      read: async (ids) => {
        const pipeline = this.#redis.pipeline();
        for (const id of ids) pipeline.hgetall(key("batch", id));
        const replies = await pipeline.exec() ?? [];
        return replies.map(([error, fields], at) => {
          if (error !== null) throw error;
          const { request } = fields as Record<string, string>;
          return request === undefined ? undefined : toBatch(ids[at]!, fields as Record<string, string>);
        });
      },
    });
  }

  /**
   * Cancels a batch: requests under way are finished, and others are not begun.
   * @throws {ApiError} 404, 409
   */
  async cancel(tenant: string, id: string): Promise<Batch> {
    await this.#fields(tenant, id);
    if (await this.#redis.eval(CANCEL, 0, id) === 1) return await this.batch(tenant, id);
    throw new ApiError(409, "This batch has ended", { code: "batch_ended" });
  }

  /** Returns an uploaded file, or a file of results. @throws {ApiError} 404 */
  async file(tenant: string, id: string): Promise<StoredFile> {
    const results = resultFile(id);
    if (results === undefined) return await this.#files.file(tenant, id);
    const fields = await this.#fields(tenant, results.batch).catch(() => ({} as Record<string, string>));
    const bytes = fields[`${results.mark}:bytes`];
    const ended = Number(fields.finalizing_at);
    if (bytes === undefined || Number.isNaN(ended)) throw fileNotFound(id);
    return {
      id,
      object: "file",
      bytes: Number(bytes),
      created_at: ended,
      expires_at: ended + KEEP_SECONDS,
      filename: `${id}.jsonl`,
      purpose: "batch_output",
      status: "processed",
      pictures: 0,
    };
  }

  /** Deletes an uploaded file. @throws {ApiError} 404, 409 for results */
  async deleteFile(tenant: string, id: string): Promise<void> {
    if (resultFile(id) === undefined) return await this.#files.delete(tenant, id);
    await this.file(tenant, id);
    throw new ApiError(409, "The results of a batch go with it, when their time has come", {
      code: "file_in_use",
    });
  }

  /** Returns the bytes of a file, a few lines at a time. @throws {ApiError} 404 */
  async content(tenant: string, id: string): Promise<AsyncGenerator<Uint8Array>> {
    const results = resultFile(id);
    if (results === undefined) return await this.#files.content(tenant, id);
    await this.file(tenant, id);
    return this.#results(results);
  }

  /** Yields the results in the order of the input. */
  async *#results({ batch, mark }: ResultFile): AsyncGenerator<Uint8Array> {
    const encoder = new TextEncoder();
    const total = Number(await this.#redis.hget(key("batch", batch), "total"));
    for (let start = 0; start < total; start += PAGE.lines) {
      const lengths = this.#redis.pipeline();
      for (let at = start; at < Math.min(total, start + PAGE.lines); at++) {
        lengths.hstrlen(key("results", batch), String(at));
      }
      const sizes = (await lengths.exec() ?? []).map(([, size]) => Number(size));
      for (const group of groupBySize(sizes, PAGE.bytes)) {
        const indices = group.map((at) => String(start + at));
        for (const line of await this.#redis.hmget(key("results", batch), ...indices)) {
          if (line?.startsWith(mark)) yield encoder.encode(`${line.slice(1)}\n`);
        }
      }
    }
  }

  async #fields(tenant: string, id: string): Promise<Record<string, string>> {
    const fields = await this.#redis.hgetall(key("batch", id));
    if (fields.tenant === tenant) return fields;
    throw new ApiError(404, `There is no batch '${id.slice(0, 60)}'`, { code: "batch_not_found" });
  }
}

interface ResultFile {
  batch: string;
  mark: "o" | "e";
}

/** Returns the batch whose results a file is. */
function resultFile(id: string): ResultFile | undefined {
  const [, batch, kind] = /^file-(batch_[0-9a-f]{24})-(output|error)$/.exec(id) ?? [];
  return batch === undefined ? undefined : { batch, mark: kind === "output" ? "o" : "e" };
}

/** Returns groups of neighbouring places whose sizes add up to at most `most`, or one larger place. */
function groupBySize(sizes: readonly number[], most: number): number[][] {
  const groups: number[][] = [];
  let sum = Infinity;
  for (const [at, size] of sizes.entries()) {
    if (sum + size > most) {
      groups.push([]);
      sum = 0;
    }
    groups.at(-1)!.push(at);
    sum += size;
  }
  return groups;
}
