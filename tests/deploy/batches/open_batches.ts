// The parts of a batch service over a redis-server of their own, in this process.
import { Redis } from "ioredis";
import { BatchKeeper, type BatchKeeperOptions } from "../../../deploy/batches/batch_keeper.ts";
import { BatchPuller, type BatchPullerOptions } from "../../../deploy/batches/batch_puller.ts";
import { BatchStore } from "../../../deploy/batches/batch_store.ts";
import { FileStore } from "../../../deploy/batches/file_store.ts";
import { RequestQueue } from "../../../deploy/batches/request_queue.ts";
import { startRedisServer } from "../../../deploy/redis_rest/redis_server.ts";
import type { Batch, BatchOrder } from "../../../protocol/wire/batch.ts";
import type { ChargedPictures } from "../../../routes/keys/key_limits.ts";
import { until } from "../../until.ts";

const ENDPOINT = "/v1/images/generations";

export interface OpenBatchesOptions {
  /** @default 86400 */
  windowSeconds?: number;
}

export class OpenBatches implements AsyncDisposable {
  readonly files: FileStore;
  readonly store: BatchStore;
  readonly queue: RequestQueue;
  readonly keeper: BatchKeeper;
  /** Batches of whose end the store of keys was told, in order. */
  readonly closed: { charged: ChargedPictures; made: number }[] = [];
  readonly log: string[] = [];

  private constructor(
    readonly redis: Redis,
    readonly server: AsyncDisposable,
    { windowSeconds = 86_400 }: OpenBatchesOptions,
  ) {
    this.files = new FileStore({ redis });
    this.store = new BatchStore({ redis, files: this.files, windowSeconds });
    this.queue = new RequestQueue({ redis });
    this.keeper = this.openKeeper();
  }

  static async open(options: OpenBatchesOptions = {}): Promise<OpenBatches> {
    const server = await startRedisServer();
    return new OpenBatches(new Redis(server.url, { maxRetriesPerRequest: null }), server, options);
  }

  /** Another process's: looks when it is told to. */
  openKeeper(
    limits: BatchKeeperOptions["limits"] = {
      adoptPictures: () => Promise.resolve(),
      closePictures: (charged, _, made = 0) => Promise.resolve(void this.closed.push({ charged, made })),
    },
  ): BatchKeeper {
    const { redis, files, queue } = this;
    return new BatchKeeper({
      ...{ redis, files, queue, intervalMs: 3_600_000 },
      limits,
      log: (_, message, fields) => void this.log.push(`${message} ${JSON.stringify(fields)}`),
    });
  }

  openPuller(fetch: BatchPullerOptions["fetch"], options: Partial<BatchPullerOptions> = {}): BatchPuller {
    return new BatchPuller({
      ...{ queue: this.queue, fetch, awayMs: 5, failedMs: 5, idleMs: 5 },
      endOf: (batch) => this.keeper.endOf(batch),
      log: (_, message, fields) => void this.log.push(`${message} ${JSON.stringify(fields)}`),
      ...options,
    });
  }

  async addFile(tenant: string, count: number): Promise<string> {
    const lines = Array.from({ length: count }, (_, index) => requestLine(`${index}`));
    return (await this.files.add(tenant, { name: "a.jsonl", bytes: toBytes(lines.join("\n")) })).id;
  }

  async addBatch(tenant: string, count: number, order: Partial<BatchOrder> = {}): Promise<Batch> {
    return await this.store.add(tenant, {
      id: newId(),
      input_file_id: order.input_file_id ?? await this.addFile(tenant, count),
      endpoint: ENDPOINT,
      completion_window: "24h",
      metadata: undefined,
      webhook: undefined,
      file_metadata: undefined,
      quota: null,
      ...order,
    });
  }

  async ended(tenant: string, id: string): Promise<Batch> {
    return await until(async () => {
      const batch = await this.store.batch(tenant, id);
      return !["in_progress", "cancelling"].includes(batch.status) && batch;
    });
  }

  async results(tenant: string, file: string | null): Promise<{ custom_id: string; error: unknown }[]> {
    let text = "";
    for await (const bytes of await this.store.content(tenant, file!)) {
      text += new TextDecoder().decode(bytes);
    }
    return text.trimEnd().split("\n").map((line) => JSON.parse(line));
  }

  /** Leaves so many bytes of memory; undefined: no bound. */
  async leaveRoom(bytes?: number): Promise<void> {
    const used = Number(/^used_memory:(\d+)/m.exec(await this.redis.info("memory"))![1]);
    await this.redis.config("SET", "maxmemory", String(bytes === undefined ? 0 : used + bytes));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.keeper[Symbol.asyncDispose]();
    this.redis.disconnect();
    await this.server[Symbol.asyncDispose]();
  }
}

export function newId(): string {
  return `batch_${crypto.getRandomValues(new Uint8Array(12)).toHex()}`;
}

export function requestLine(custom_id: string, body: Record<string, unknown> = {}): string {
  return JSON.stringify({ custom_id, method: "POST", url: ENDPOINT, body: { prompt: "x", ...body } });
}

export function toBytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

/** An answer with one picture in `characters`. */
export function picture(characters = 10): Response {
  return Response.json({ data: [{ b64_json: "A".repeat(characters) }] });
}
