// Has requests of batches answered, each to its end: docs/decisions/0017-batches-in-scripts.md.
import type { Log } from "../../protocol/process/structured_log.ts";
import type { BatchLine } from "../../protocol/wire/batch.ts";
import type { Ending, Outcome, Place, RequestQueue, Taken } from "./request_queue.ts";
import { parseRequest } from "./scan_requests.ts";

export interface BatchPullerOptions {
  queue: RequestQueue;
  /** Returns how the rest of a batch ends. Undefined if the batch goes on. */
  endOf: (batch: string) => Promise<"cancelled" | "expired" | undefined>;
  /** Answers a request of the API, as an edge does. */
  fetch: (request: Request) => Response | Promise<Response>;
  log: Log;
  /** Largest number of requests under way: one on the device and one that waits. @default 2 */
  concurrency?: number;
  /**
   * Milliseconds of silence after which a puller counts as dead and another one takes its requests.
   * @default 30000
   */
  lockMs?: number;
  /**
   * Milliseconds before a request is tried again that nobody could take, or a result that had no room.
   * @default 2000
   */
  awayMs?: number;
  /** Milliseconds before a failed request is tried again. They double with each failure. @default 1000 */
  failedMs?: number;
  /** Milliseconds between two looks at an empty queue. @default 200 */
  idleMs?: number;
  /** Receives each request that has ended. */
  onSettled?: (outcome: Outcome) => void;
}

/** Number of pullers that may die over a request before the request is given up. */
const MAX_DEATHS = 10;
/** Largest number of failures of a request. The absence of workers is no failure. */
const MAX_FAILURES = 4;

/** Why a request that was not made has no answer. */
export const UNMADE = {
  cancelled: { code: "batch_cancelled", message: "This request was not made before the batch was cancelled" },
  expired: { code: "batch_expired", message: "This request could not be made before the batch expired" },
};

interface Answer {
  status: number;
  body: unknown;
  requestId: string;
  retryAfter: number;
}

export class BatchPuller implements AsyncDisposable {
  readonly #options: Required<BatchPullerOptions>;
  readonly #stop = new AbortController();
  readonly #underWay = new Map<Place, Promise<void>>();
  readonly #pulling: Promise<void>;
  readonly #renewal: ReturnType<typeof setInterval>;

  constructor(options: BatchPullerOptions) {
    this.#options = {
      concurrency: 2,
      lockMs: 30_000,
      awayMs: 2000,
      failedMs: 1000,
      idleMs: 200,
      onSettled: () => {},
      ...options,
    };
    const { queue, lockMs, log } = this.#options;
    this.#renewal = setInterval(() => {
      queue.renew([...this.#underWay.keys()], lockMs)
        .catch((cause) => log("warn", "requests under way were not renewed", { error: String(cause) }));
    }, lockMs / 3);
    this.#pulling = this.#pull();
  }

  /** Takes no more requests, and finishes those under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#pulling;
    await Promise.all(this.#underWay.values());
    clearInterval(this.#renewal);
  }

  async #pull(): Promise<void> {
    const { queue, concurrency, lockMs, awayMs, idleMs, log } = this.#options;
    const stopped = new Promise<undefined>((resolve) => {
      this.#stop.signal.addEventListener("abort", () => resolve(undefined));
    });
    while (!this.#stop.signal.aborted) {
      if (this.#underWay.size >= concurrency) {
        await Promise.race([...this.#underWay.values(), stopped]);
        continue;
      }
      try {
        // A queue that is away answers later: a process that is to stop does not wait for it.
        const taken = await Promise.race([queue.take(lockMs), stopped]);
        if (taken === undefined) await this.#sleep(idleMs);
        else this.#begin(taken);
      } catch (cause) {
        log("warn", "no request could be taken", { error: String(cause) });
        await this.#sleep(awayMs);
      }
    }
  }

  #begin(taken: Taken): void {
    const { log } = this.#options;
    const place = { batch: taken.batch, index: taken.index };
    const end = this.#answer(place, taken)
      .catch((cause) =>
        log("error", "a request was left to others", { request: nameOf(place), error: String(cause) })
      )
      .finally(() => this.#underWay.delete(place));
    this.#underWay.set(place, end);
  }

  async #answer(place: Place, { text, tries, fails, fileMetadata }: Taken): Promise<void> {
    const { queue, awayMs, failedMs } = this.#options;
    const line = parseRequest(text) as BatchLine | undefined;
    // The request was lost with its file, or its pullers die of it.
    if (line === undefined || tries > MAX_DEATHS) return await this.#settle(place, failure(line));
    const answer = await this.#ask(place, line, fileMetadata);
    if (answer === undefined || answer.status >= 500 && answer.status !== 503) {
      if (fails + 1 < MAX_FAILURES) {
        const delayMs = failedMs * 2 ** fails;
        return await this.#insist(place, () => queue.again(place, { delayMs, why: "failed" }));
      }
    } else if ([408, 409, 429, 503].includes(answer.status)) {
      // Nobody could take it: not a failure of the request, which waits until somebody
      // can, or the batch expires.
      const delayMs = Math.max(awayMs, Math.min(answer.retryAfter, 60) * 1000);
      return await this.#insist(place, () => queue.again(place, { delayMs, why: "away" }));
    }
    await this.#settle(place, answer === undefined ? failure(line) : toEnding(line, answer));
  }

  /** Returns undefined if the request cannot be sent at all, such as one that is nested too deep. */
  async #ask(place: Place, line: BatchLine, fileMetadata: boolean): Promise<Answer | undefined> {
    const { fetch, log } = this.#options;
    try {
      const response = await fetch(
        new Request(`http://127.0.0.1${line.url}`, {
          method: line.method,
          headers: { "content-type": "application/json", "x-request-id": nameOf(place) },
          body: JSON.stringify({
            // Answers are read for days, an address holds for an hour.
            response_format: "b64_json",
            ...line.body,
            ...!fileMetadata && { metadata: false },
            seed: isOpen(line.body.seed) ? await seedOf(place) : line.body.seed,
          }),
        }),
      );
      return {
        status: response.status,
        body: await response.json(),
        requestId: response.headers.get("x-request-id") ?? "",
        retryAfter: Number(response.headers.get("retry-after") ?? 0),
      };
    } catch (cause) {
      log("warn", "a request had no answer", { request: nameOf(place), error: String(cause) });
      return undefined;
    }
  }

  async #settle(place: Place, ending: Ending): Promise<void> {
    const { queue, endOf, onSettled } = this.#options;
    await this.#insist(place, async () => {
      try {
        if (await queue.settle(place, ending)) onSettled(ending.outcome);
      } catch (cause) {
        // A batch that ends does not wait for room.
        const outcome = await endOf(place.batch);
        if (outcome === undefined) throw cause;
        const { custom_id } = ending;
        const unmade: Ending = { outcome, custom_id, response: null, error: UNMADE[outcome], pictures: 0 };
        if (await queue.settle(place, unmade)) onSettled(outcome);
      }
    });
  }

  /** Repeats a step that was refused until it is done: only then is the request let go. */
  async #insist(place: Place, step: () => Promise<void>): Promise<void> {
    const { awayMs, log } = this.#options;
    for (let refused = 0;; refused++) {
      try {
        return await step();
      } catch (cause) {
        if (this.#stop.signal.aborted) throw cause;
        if (refused % 30 === 0) {
          log("warn", "the end of a request waits", { request: nameOf(place), error: String(cause) });
        }
        await this.#sleep(awayMs);
      }
    }
  }

  async #sleep(ms: number): Promise<void> {
    const { signal } = this.#stop;
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      signal.addEventListener("abort", wake);
    });
  }
}

function nameOf({ batch, index }: Place): string {
  return `${batch}-${index}`;
}

function failure({ custom_id }: Pick<BatchLine, "custom_id"> = { custom_id: "" }): Ending {
  const error = { code: "server_error", message: "The server failed to answer this request" };
  return { outcome: "failed", custom_id, response: null, error, pictures: 0 };
}

function toEnding({ custom_id }: BatchLine, { status, body, requestId }: Answer): Ending {
  const isMade = status < 400;
  return {
    outcome: isMade ? "completed" : "failed",
    custom_id,
    response: { status_code: status, request_id: requestId, body },
    error: null,
    pictures: isMade ? (body as { data?: unknown[] }).data?.length ?? 0 : 0,
  };
}

/** Whether a request leaves its seed to the server. */
function isOpen(seed: unknown): boolean {
  return seed === undefined || seed === null || seed === -1;
}

/** Returns the same seed each time, so that a repeated request finds the run or picture of the first one. */
async function seedOf(place: Place): Promise<number> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(nameOf(place)));
  return new DataView(digest).getUint32(0);
}
