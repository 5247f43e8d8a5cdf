// Sees batches to their end: ends the requests that a cancelled or expired batch has not made, and
// has its pictures counted.
import type { Redis } from "ioredis";
import type { Log } from "../../protocol/process/structured_log.ts";
import type { KeyLimits } from "../../routes/keys/key_limits.ts";
import { key, OWED } from "./batch_keys.ts";
import { UNMADE as REASONS } from "./batch_puller.ts";
import { CLAIM, CLOSE, PAID, UNMADE } from "./batch_scripts.ts";
import type { BatchWebhooks } from "./batch_webhooks.ts";
import type { FileStore } from "./file_store.ts";
import type { RequestQueue } from "./request_queue.ts";
import { parseRequest } from "./scan_requests.ts";

export interface BatchKeeperOptions {
  redis: Redis;
  files: FileStore;
  queue: RequestQueue;
  /** Counts a batch's pictures in the store of keys. Undefined if this process has no such store. */
  limits: Pick<KeyLimits, "adoptPictures" | "closePictures"> | undefined;
  log: Log;
  /** Calls the webhooks of batches that have ended. @default no webhook is called */
  webhooks?: Pick<BatchWebhooks, "look"> | undefined;
  /** Milliseconds between two looks at the batches. @default 1000 */
  intervalMs?: number;
}

/** Milliseconds after which another process looks at a batch again. */
const CLAIM_MS = 5000;
const AT_ONCE = 5;
/** A batch's pictures stay counted for longer than it may run. */
const HELD_MS = 3 * 86_400_000;
/** Largest number of requests that one step ends. */
const SLICE = 200;

export class BatchKeeper implements AsyncDisposable {
  readonly #options: BatchKeeperOptions;
  readonly #timer: ReturnType<typeof setInterval>;
  #looking: Promise<void> | undefined;
  #toldOfLimits = false;

  constructor(options: BatchKeeperOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.look(), options.intervalMs ?? 1000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    await this.#looking;
  }

  /** Looks once, unless a look is under way. Never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#look()
      .catch((cause) => this.#options.log("warn", "batches were not looked after", { error: String(cause) }))
      .finally(() => this.#looking = undefined);
    return this.#looking;
  }

  /** Returns how the rest of a batch ends. Undefined if the batch goes on, or has ended. */
  async endOf(batch: string): Promise<"cancelled" | "expired" | undefined> {
    return (await this.#close(batch))?.outcome;
  }

  async #look(): Promise<void> {
    const { redis, log } = this.#options;
    let batches: string[];
    do {
      batches = await redis.eval(CLAIM, 0, CLAIM_MS, AT_ONCE) as string[];
      for (const batch of batches) {
        await this.#end(batch)
          .catch((cause) => log("warn", "a batch was not closed", { batch, error: String(cause) }));
      }
    } while (batches.length === AT_ONCE);
    await this.#count();
    await this.#options.webhooks?.look();
  }

  /** Ends the requests that nobody has begun. Pullers end the others, and the last one ends the batch. */
  async #end(batch: string): Promise<void> {
    const { redis, files, queue } = this.#options;
    const closing = await this.#close(batch);
    if (closing === undefined) return;
    const { outcome, file, total } = closing;
    for (let start = 0; start < total; start += SLICE) {
      const until = Math.min(start + SLICE, total);
      const indices = await redis.eval(UNMADE, 0, batch, start, until) as number[];
      if (indices.length === 0) continue;
      const texts = await files.requests(file, indices);
      await Promise.all(indices.map((index, at) => {
        // Empty where the file's content is lost: its batch ends all the same.
        const { custom_id = "" } = (parseRequest(texts[at]!) ?? {}) as { custom_id?: string };
        const error = REASONS[outcome];
        return queue.settle({ batch, index }, { outcome, custom_id, response: null, error, pictures: 0 });
      }));
    }
  }

  async #close(
    batch: string,
  ): Promise<{ outcome: "cancelled" | "expired"; file: string; total: number } | undefined> {
    const [outcome, file, total] = await this.#options.redis.eval(CLOSE, 0, batch) as string[];
    if (outcome !== "cancelled" && outcome !== "expired") return undefined;
    return { outcome, file: file!, total: Number(total) };
  }

  /** Tells the store of keys which batches live and how many pictures they made. Any step may be repeated. */
  async #count(): Promise<void> {
    const { redis, limits, log } = this.#options;
    const owed = await redis.hrandfield(OWED, 100, "WITHVALUES") as string[];
    if (owed.length === 0) return;
    if (limits === undefined) {
      if (!this.#toldOfLimits) {
        log("error", "quotas are not settled: this process has no UPSTASH_REDIS_REST_URL", {});
      }
      this.#toldOfLimits = true;
      return;
    }
    for (let at = 0; at < owed.length; at += 2) {
      const [batch, why] = [owed[at]!, owed[at + 1]!];
      const { status, counter, holder, count, made } = await redis.hgetall(key("batch", batch));
      // It is forgotten a week after its end.
      if (counter !== undefined && holder !== undefined) {
        const charged = { id: batch, holder, counter };
        const isUnderWay = status === "in_progress" || status === "cancelling";
        if (isUnderWay) await limits.adoptPictures(charged, { count: Number(count), leaseMs: HELD_MS });
        else await limits.closePictures(charged, [], Number(made ?? 0));
      }
      await redis.eval(PAID, 0, batch, why);
    }
  }
}
