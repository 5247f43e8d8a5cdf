// Files of requests in Redis, with what was found in them as they came.
import { Buffer } from "node:buffer";
import type { Redis } from "ioredis";
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { Page, PageQuery, StoredFile } from "../../protocol/wire/batch.ts";
import { KEEP_SECONDS, key } from "./batch_keys.ts";
import { DELETE_FILE } from "./batch_scripts.ts";
import { listPage } from "./list_page.ts";
import { type LineError, scanRequests } from "./scan_requests.ts";
import { assertRoom } from "./store_room.ts";
import { unixSeconds } from "../../protocol/wire/unix_seconds.ts";

export interface FileStoreOptions {
  redis: Redis;
}

/** A file, its owner, and the facts that its batches begin with. */
export interface FileRecord extends StoredFile {
  tenant: string;
  total: number;
  errors: LineError[];
}

const BYTES_OF_PLACE = 8;
const PART_BYTES = 2 ** 20;

export class FileStore {
  readonly #redis: Redis;

  constructor({ redis }: FileStoreOptions) {
    this.#redis = redis;
  }

  /** Stores a file after all of it is checked, so that a process that dies on the way has stored nothing. */
  async add(
    tenant: string,
    { name, bytes }: { name: string; bytes: Uint8Array<ArrayBuffer> },
  ): Promise<StoredFile> {
    await assertRoom(this.#redis, { tenant, bytes: bytes.length });
    const { errors, total, pictures, lines } = await scanRequests(bytes);
    const now = Date.now();
    const created_at = unixSeconds(now);
    const keep = KEEP_SECONDS;
    const file: FileRecord = {
      id: `file-${crypto.getRandomValues(new Uint8Array(12)).toHex()}`,
      object: "file",
      bytes: bytes.length,
      created_at,
      expires_at: created_at + keep,
      filename: name,
      purpose: "batch",
      status: "processed",
      ...{ pictures, tenant, total, errors },
    };
    const list = key("files", tenant);
    await allOf(
      this.#redis.multi()
        .set(key("content", file.id), Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), "EX", keep)
        .set(key("lines", file.id), Buffer.from(lines.buffer), "EX", keep)
        .set(key("file", file.id), JSON.stringify(file), "EX", keep)
        .zadd(list, now, file.id)
        .zremrangebyscore(list, "-inf", now - keep * 1000)
        .expire(list, keep)
        .zadd(key("held", tenant), now + keep * 1000, `${file.id}:${file.bytes}`)
        // Longer, or at all.
        .expire(key("held", tenant), keep, "GT")
        .expire(key("held", tenant), keep, "NX")
        .exec(),
    );
    return toStored(file);
  }

  /** Reads the record of a file without its bytes. @throws {ApiError} 404 */
  async record(tenant: string, id: string): Promise<FileRecord> {
    const [record] = await this.#read([id]);
    if (record?.tenant === tenant) return record;
    throw fileNotFound(id);
  }

  /** Reads a file with its bytes. @throws {ApiError} 404 */
  async file(tenant: string, id: string): Promise<StoredFile> {
    return toStored(await this.record(tenant, id));
  }

  /** Lists the files of a tenant, the newest first. */
  async files(tenant: string, query: PageQuery): Promise<Page<StoredFile>> {
    return await listPage({
      ...query,
      redis: this.#redis,
      index: key("files", tenant),
      read: async (ids) => (await this.#read(ids)).map((record) => record && toStored(record)),
    });
  }

  /** Batches that read it go on with it. @throws {ApiError} 404 */
  async delete(tenant: string, id: string): Promise<void> {
    const { bytes } = await this.record(tenant, id);
    await this.#redis.eval(DELETE_FILE, 0, id, tenant, bytes);
  }

  /** Returns the bytes of a file, some at a time. @throws {ApiError} 404 */
  async content(tenant: string, id: string): Promise<AsyncGenerator<Uint8Array>> {
    const { bytes } = await this.record(tenant, id);
    return this.#content(id, bytes);
  }

  async *#content(id: string, bytes: number): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes; at += PART_BYTES) {
      yield await this.#redis.getrangeBuffer(key("content", id), at, at + PART_BYTES - 1);
    }
  }

  /**
   * Returns the texts of requests by their places. A deleted file has them too, as long as a batch reads it.
   */
  async requests(id: string, indices: readonly number[]): Promise<string[]> {
    const places = this.#redis.pipeline();
    for (const index of indices) {
      const start = index * BYTES_OF_PLACE;
      places.getrangeBuffer(key("lines", id), start, start + BYTES_OF_PLACE - 1);
    }
    const texts = this.#redis.pipeline();
    for (const place of await allOf(places.exec()) as Buffer[]) {
      const start = place.readUInt32LE(0);
      texts.getrange(key("content", id), start, start + place.readUInt32LE(4) - 1);
    }
    return await allOf(texts.exec()) as string[];
  }

  async #read(ids: readonly string[]): Promise<(FileRecord | undefined)[]> {
    const texts = await this.#redis.mget(ids.map((id) => key("file", id)));
    return texts.map((text) => text === null ? undefined : JSON.parse(text));
  }
}

export function fileNotFound(id: string): ApiError {
  return new ApiError(404, `There is no file '${id.slice(0, 60)}'`, { code: "file_not_found" });
}

function toStored({ tenant: _, total: _total, errors: _errors, ...file }: FileRecord): StoredFile {
  return file;
}

/** @throws {Error} the first one of a pipeline's commands */
async function allOf(replies: Promise<[Error | null, unknown][] | null>): Promise<unknown[]> {
  return (await replies ?? []).map(([error, value]) => {
    if (error !== null) throw error;
    return value;
  });
}
