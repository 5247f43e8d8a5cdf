// Takes requests off the queue and has them answered, each to its end: docs/decisions/0017-batches-on-bullmq.md.
import { DelayedError, type Job, Worker } from "bullmq";
import type { Redis } from "ioredis";
import type { Log } from "../../protocol/process/structured_log.ts";
import {
  type BatchQueue,
  INTAKE,
  type IntakeJob,
  type RequestJob,
  REQUESTS,
  toConnection,
} from "./batch_queue.ts";
import type { BatchStore, Outcome } from "./batch_store.ts";

export interface BatchPullerOptions {
  redis: Redis;
  store: BatchStore;
  queue: BatchQueue;
  /** Answers a request of the API, as an edge does. */
  fetch: (request: Request) => Response | Promise<Response>;
  log: Log;
  /** Requests under way at once: one on the device, one that waits for it. @default 2 */
  concurrency?: number;
  /** A puller that has not been heard of for so long is dead: another one takes its requests. @default 30000 */
  lockMs?: number;
  /** Before a request is tried again that nobody could take. @default 2000 */
  awayMs?: number;
  /** Told of each request that has ended. */
  onSettled?: (outcome: Outcome) => void;
  /** Milliseconds since 1970. @default Date.now */
  now?: () => number;
}

/** How often a request may be under way in a puller that dies, before it is held for the cause. */
const MAX_DEATHS = 10;

/** A request's answer, or why it has none. */
type Ending =
  & { outcome: Outcome }
  & ({ response: Response; body: unknown } | { code: string; message: string });

export class BatchPuller implements AsyncDisposable {
  readonly #options: Required<BatchPullerOptions>;
  readonly #workers: Worker[];

  constructor(options: BatchPullerOptions) {
    this.#options = {
      concurrency: 2,
      lockMs: 30_000,
      awayMs: 2000,
      onSettled: () => {},
      now: Date.now,
      ...options,
    };
    const { redis, concurrency, lockMs, log } = this.#options;
    const common = {
      connection: toConnection(redis),
      lockDuration: lockMs,
      stalledInterval: lockMs,
      maxStalledCount: MAX_DEATHS,
    };
    const intake = new Worker<IntakeJob>(INTAKE, (job) => this.#begin(job), common);
    const requests = new Worker<RequestJob>(REQUESTS, (job, token) => this.#answer(job, token), {
      ...common,
      concurrency,
    });
    // Those that took every puller along with them get here without having been tried to the end.
    requests.on("failed", (job, error) => {
      if (
        job === undefined || job.attemptsMade < (job.opts.attempts ?? 1) && !/stalled/.test(error.message)
      ) return;
      this.#settle(job, {
        outcome: "failed",
        code: "server_error",
        message: "The server failed to answer this request",
      })
        .catch((cause) =>
          log("error", "end of a request was not noted", { job: job.id, error: String(cause) })
        );
    });
    this.#workers = [intake, requests];
    for (const worker of this.#workers) {
      worker.on("error", (error) => log("warn", "queue is away", { error: String(error) }));
    }
  }

  /** Finishes what is under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.close()));
  }

  async #begin({ data: { batch } }: Job<IntakeJob>): Promise<void> {
    const { store, queue } = this.#options;
    const lines = await store.begin(batch);
    if (lines !== undefined) await queue.addRequests(batch, lines.map(withSeed));
  }

  async #answer(job: Job<RequestJob>, token: string | undefined): Promise<void> {
    const { store, now, awayMs } = this.#options;
    const { batch, index, line } = job.data;
    const state = await store.state(batch, index);
    // Answered by a puller that died before it could say so, or a batch that is gone.
    if (state.settled || state.status === undefined) return;
    if (state.status === "cancelling") {
      return await this.#settle(job, {
        outcome: "cancelled",
        code: "batch_cancelled",
        message: "This request was not made before the batch was cancelled",
      });
    }
    if (now() / 1000 >= state.expiresAt) {
      return await this.#settle(job, {
        outcome: "expired",
        code: "batch_expired",
        message: "This request could not be made before the batch expired",
      });
    }
    const response = await this.#options.fetch(
      new Request(`http://127.0.0.1${line.url}`, {
        method: line.method,
        headers: { "content-type": "application/json", "x-request-id": requestId(job.data) },
        body: JSON.stringify(line.body),
      }),
    );
    const body = await response.json();
    const { status } = response;
    if ([408, 409, 429, 503].includes(status)) {
      // Nobody could take it: not a failure of the request, which waits until somebody can, or the batch expires.
      const seconds = Number(response.headers.get("retry-after") ?? 0);
      await job.moveToDelayed(now() + Math.max(awayMs, Math.min(seconds, 60) * 1000), token);
      throw new DelayedError();
    }
    if (status >= 500 && job.attemptsMade + 1 < (job.opts.attempts ?? 1)) {
      throw new Error(`Answered with ${status}`);
    }
    await this.#settle(job, { outcome: response.ok ? "completed" : "failed", response, body });
  }

  async #settle({ data }: Job<RequestJob>, ending: Ending): Promise<void> {
    const { store, onSettled } = this.#options;
    const { batch, index, line } = data;
    const answered = "response" in ending;
    const isNew = await store.settle({ batch, index }, {
      outcome: ending.outcome,
      id: `batch_req_${batch.slice(6)}_${index}`,
      custom_id: line.custom_id,
      response: answered
        ? {
          status_code: ending.response.status,
          request_id: ending.response.headers.get("x-request-id") ?? "",
          body: ending.body,
        }
        : null,
      error: answered ? null : { code: ending.code, message: ending.message },
    });
    if (isNew) onSettled(ending.outcome);
  }
}

function requestId({ batch, index }: RequestJob): string {
  return `${batch}-${index}`;
}

/** A seed drawn now, not when the request is made: made again, it finds the run or the picture of the first time. */
function withSeed(line: RequestJob["line"]): RequestJob["line"] {
  const { seed } = line.body;
  if (seed !== undefined && seed !== null) return line;
  return { ...line, body: { ...line.body, seed: crypto.getRandomValues(new Uint32Array(1))[0]! } };
}
