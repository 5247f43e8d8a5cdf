// The queues of BullMQ: batches that are to begin, and their requests. Jobs have names of their own, so that adding one
// twice is adding it once.
import { type ConnectionOptions, Queue } from "bullmq";
import type { Redis } from "ioredis";
import type { BatchLine } from "../../protocol/wire/batch.ts";

/** One request. */
export interface RequestJob {
  batch: string;
  /** 0-based place in the input. */
  index: number;
  line: BatchLine;
}

/** A batch that is to begin. */
export interface IntakeJob {
  batch: string;
}

/** Their keys begin with "bull:" and these names; KEDA reads the length of bull:spectrum-requests:wait. */
export const REQUESTS = "spectrum-requests";
export const INTAKE = "spectrum-intake";

/** Failures, not the absence of workers, which is waited out. */
const ATTEMPTS = 4;
const BULK = 500;

export class BatchQueue implements AsyncDisposable {
  readonly #requests: Queue<RequestJob>;
  readonly #intake: Queue<IntakeJob>;

  constructor(redis: Redis) {
    const connection = toConnection(redis);
    this.#requests = new Queue(REQUESTS, { connection });
    this.#intake = new Queue(INTAKE, { connection });
  }

  async begin(batch: string): Promise<void> {
    await this.#intake.add("begin", { batch }, {
      ...{ jobId: batch, attempts: 20, backoff: { type: "fixed", delay: 1000 } },
      ...{ removeOnComplete: true, removeOnFail: true },
    });
  }

  /** Those that have been added before, and have not ended, stay as they are. */
  async addRequests(batch: string, lines: readonly BatchLine[]): Promise<void> {
    for (let start = 0; start < lines.length; start += BULK) {
      await this.#requests.addBulk(
        lines.slice(start, start + BULK).map((line, at) => ({
          name: "request",
          data: { batch, index: start + at, line },
          opts: {
            ...{ jobId: `${batch}-${start + at}`, attempts: ATTEMPTS },
            ...{ backoff: { type: "exponential", delay: 1000 }, removeOnComplete: true, removeOnFail: true },
          },
        })),
      );
    }
  }

  /** Requests by state: waiting, active, delayed. */
  async counts(): Promise<Record<string, number>> {
    return await this.#requests.getJobCounts("waiting", "active", "delayed");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.#requests.close(), this.#intake.close()]);
  }
}

/** BullMQ's types come with a copy of ioredis' own. */
export function toConnection(redis: Redis): ConnectionOptions {
  return redis as unknown as ConnectionOptions;
}
