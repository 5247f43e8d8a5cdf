// Tells clients' servers that batches have ended. A batch waits in Redis to be told, so
// that any process may do it.
import type { Redis } from "ioredis";
import type { Log } from "../../protocol/process/structured_log.ts";
import type { Webhooks } from "../../routes/jobs/webhooks.ts";
import { key, UNTOLD } from "./batch_keys.ts";
import { CLAIM_UNTOLD, TELL_LATER } from "./batch_scripts.ts";

export interface BatchWebhooksOptions {
  redis: Redis;
  /** Undefined if this process has no secret to sign with. Other processes then call the webhooks. */
  webhooks: Pick<Webhooks, "tellBatch"> | undefined;
  log: Log;
  /**
   * Delays between attempts to tell a webhook, in milliseconds, one for each retry.
   * @default 5 s, 30 s, 2 min, 10 min, 1 h
   */
  retryDelaysMs?: readonly number[];
}

/** Milliseconds after which another process looks at a batch, if the one that looks at it dies. */
const CLAIM_MS = 30_000;
/** Milliseconds between two looks at a batch that is under way. */
const UNDER_WAY_MS = 1000;
const AT_ONCE = 20;
const RETRY_DELAYS_MS = [5000, 30_000, 120_000, 600_000, 3_600_000];
const ENDS = ["completed", "failed", "expired", "cancelled"] as const;

export class BatchWebhooks {
  readonly #options: Required<BatchWebhooksOptions>;

  constructor(options: BatchWebhooksOptions) {
    this.#options = { retryDelaysMs: RETRY_DELAYS_MS, ...options };
  }

  /** Tells of the batches that have ended. */
  async look(): Promise<void> {
    const { redis, webhooks } = this.#options;
    if (webhooks === undefined) return;
    const claimed = await redis.eval(CLAIM_UNTOLD, 0, CLAIM_MS, AT_ONCE) as string[];
    await Promise.all(claimed.map((batch) => this.#tell(batch)));
  }

  async #tell(batch: string): Promise<void> {
    const { redis, webhooks, log, retryDelaysMs } = this.#options;
    const fields = await redis.hgetall(key("batch", batch));
    const { webhook } = JSON.parse(fields.request ?? "{}") as { webhook?: string };
    const status = ENDS.find((end) => end === fields.status);
    if (webhook === undefined) return await this.#forget(batch);
    if (status === undefined) return await this.#again(batch, UNDER_WAY_MS);
    const at = 1000 * Number(fields[`${status}_at`] ?? fields.finalizing_at ?? 0);
    if (await webhooks!.tellBatch({ id: batch, webhook }, { status, at })) return await this.#forget(batch);
    const tries = await redis.hincrby(key("batch", batch), "told", 1);
    const delay = retryDelaysMs[tries - 1];
    if (delay !== undefined) return await this.#again(batch, delay);
    log("error", "webhook given up", { batch });
    await this.#forget(batch);
  }

  async #again(batch: string, delayMs: number): Promise<void> {
    await this.#options.redis.eval(TELL_LATER, 0, batch, delayMs);
  }

  async #forget(batch: string): Promise<void> {
    await this.#options.redis.zrem(UNTOLD, batch);
  }
}
