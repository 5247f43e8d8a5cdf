// Hands out the requests of all batches and notes their ends. Every step is one script: batch_scripts.ts.
import type { Redis } from "ioredis";
import type { BatchResult } from "../../protocol/wire/batch.ts";
import { KEEP_SECONDS, LATER, LEASES, SIZES } from "./batch_keys.ts";
import { AGAIN, RENEW, SETTLE_LARGE, SETTLE_SMALL, TAKE } from "./batch_scripts.ts";

export interface RequestQueueOptions {
  redis: Redis;
}

/** The end of a request: answered, refused for good, or never tried. */
export type Outcome = "completed" | "failed" | "cancelled" | "expired";

export interface Place {
  batch: string;
  /** 0-based place among the requests of the batch. */
  index: number;
}

/** A request to be answered. */
export interface Taken extends Place {
  /** Its line in the file. */
  text: string;
  /** Number of times that it was begun and not given back, this time included. */
  tries: number;
  /** Number of times that it has failed. */
  fails: number;
  /** Whether files may say how they were made: not for keys that forbid it. */
  fileMetadata: boolean;
}

export interface Ending extends Pick<BatchResult, "response" | "error"> {
  outcome: Outcome;
  custom_id: string;
  /** Pictures made. */
  pictures: number;
}

/** A line of this length is written even where nothing else fits: without it no batch would end. */
const SMALL = 4096;

export class RequestQueue {
  readonly #redis: Redis;

  constructor({ redis }: RequestQueueOptions) {
    this.#redis = redis;
  }

  /** Returns the next request, held until `leaseMs` have passed. Undefined if there is none. */
  async take(leaseMs: number): Promise<Taken | undefined> {
    const taken = await this.#redis.eval(TAKE, 0, leaseMs) as
      | [string, number, string, number, number, string]
      | null;
    if (taken === null) return undefined;
    const [batch, index, text, tries, fails, request] = taken;
    const { file_metadata: fileMetadata = true } = JSON.parse(request) as { file_metadata?: boolean };
    return { batch, index, text, tries, fails, fileMetadata };
  }

  async renew(places: readonly Place[], leaseMs: number): Promise<void> {
    if (places.length > 0) await this.#redis.eval(RENEW, 0, leaseMs, ...places.map(toMember));
  }

  /** Gives a request back: it has failed, or nobody could take it. */
  async again(
    { batch, index }: Place,
    { delayMs, why }: { delayMs: number; why: "failed" | "away" },
  ): Promise<void> {
    await this.#redis.eval(AGAIN, 0, batch, index, Math.ceil(delayMs), why);
  }

  /**
   * Stores how a request has ended.
   * @returns false if this request, or its batch, had ended before.
   * @throws {Error} while there is no room
   */
  async settle(
    { batch, index }: Place,
    { outcome, custom_id, response, error, pictures }: Ending,
  ): Promise<boolean> {
    const result: BatchResult = { id: `batch_req_${batch.slice(6)}_${index}`, custom_id, response, error };
    const line = JSON.stringify(result);
    const script = line.length <= SMALL ? SETTLE_SMALL : SETTLE_LARGE;
    const args = [batch, index, outcome, line, pictures, KEEP_SECONDS];
    return await this.#redis.eval(script, 0, ...args) === 1;
  }

  /** Counts the requests by state: waiting, active, delayed. */
  async counts(): Promise<Record<string, number>> {
    const [open, active, delayed] = await Promise.all([
      this.#redis.hget(SIZES, "open"),
      this.#redis.zcard(LEASES),
      this.#redis.zcard(LATER),
    ]);
    return { waiting: Math.max(0, Number(open) - active - delayed), active, delayed };
  }
}

function toMember({ batch, index }: Place): string {
  return `${batch}:${index}`;
}
