// Where pictures come from: the result store, a run that somebody else has started for the same picture, or a new run.
import { ApiError } from "../../protocol/api_error.ts";
import { type CompletedEvent, isFinal, type NumberedEvent } from "../../protocol/run_event.ts";
import type { OpenRunRequest } from "../../protocol/run_request.ts";
import type { Log } from "../../protocol/structured_log.ts";
import type { ResultStore, StoredResult } from "../results/result_store.ts";
import type { WorkerClient } from "./worker_client.ts";

/** A picture somebody wants. */
export interface WantedPicture {
  /** Its name in the result store; undefined if it is not to be shared, as its seed was drawn. */
  key: string | undefined;
  run: OpenRunRequest;
  /** A result made with other weights, as after a deployment in between, is not stored. */
  modelDigest: string;
}

/** A picture on its way to one viewer. */
export interface Picture {
  cache: "hit" | "joined" | "miss";
  /**
   * Ends after the final event, or early and quietly on `signal`.
   * @throws {ApiError} if the run fails or is lost.
   */
  events(signal: AbortSignal): AsyncGenerator<NumberedEvent>;
  /** The viewer leaves; the last one to leave an unfinished run cancels it. */
  close(): void;
}

export interface PictureSourceOptions {
  worker: Pick<WorkerClient, "submit" | "events" | "cancel">;
  results: ResultStore;
  log: Log;
  /** Between attempts to pick up a broken event stream; their number is its length. @default [100, 500, 2000] */
  reconnectDelaysMs?: readonly number[];
}

/** A run that this instance has started. */
interface SharedRun {
  id: Promise<string>;
  viewers: number;
  finished: boolean;
  /** How many it shows on its way. */
  previews: number;
}

export class PictureSource {
  readonly #options: Required<PictureSourceOptions>;
  /** By result key: what is on the way. */
  readonly #runs = new Map<string, SharedRun>();

  constructor(options: PictureSourceOptions) {
    this.#options = { reconnectDelaysMs: [100, 500, 2000], ...options };
  }

  /** @throws {ApiError} as the worker refuses the run. The caller closes what it gets. */
  async open(wanted: WantedPicture): Promise<Picture> {
    const stored = wanted.key === undefined ? undefined : await this.#options.results.get(wanted.key);
    if (stored !== undefined) return storedPicture(stored);

    const key = wanted.key ?? crypto.randomUUID();
    const known = this.#runs.get(key);
    // One that shows fewer previews than asked for cannot serve this viewer.
    const started = known && known.previews >= (wanted.run.previews ?? 0) ? known : undefined;
    const run = started ?? this.#start(key, wanted);
    run.viewers++;
    let closed = false;
    const close = () => {
      if (closed) return;
      closed = true;
      this.#leave(key, run);
    };
    try {
      await run.id;
    } catch (cause) {
      close();
      throw cause;
    }
    return {
      cache: started ? "joined" : "miss",
      events: (signal) => this.#follow(run, { key, wanted, signal }),
      close,
    };
  }

  #start(key: string, { run: request }: WantedPicture): SharedRun {
    const id = this.#options.worker.submit(request).then(({ id }) => id);
    const run = { id, viewers: 0, finished: false, previews: request.previews ?? 0 };
    this.#runs.set(key, run);
    id.catch(() => this.#finish(key, run));
    return run;
  }

  #leave(key: string, run: SharedRun): void {
    if (--run.viewers > 0 || run.finished) return;
    this.#finish(key, run);
    // Whoever comes now starts anew. A worker that is away cancels the run by itself, as nobody follows it.
    run.id.then((id) => this.#options.worker.cancel(id)).catch(() => {});
  }

  /** Nobody joins `run` any more. */
  #finish(key: string, run: SharedRun): void {
    run.finished = true;
    if (this.#runs.get(key) === run) this.#runs.delete(key);
  }

  async *#follow(
    run: SharedRun,
    { key, wanted, signal }: { key: string; wanted: WantedPicture; signal: AbortSignal },
  ): AsyncGenerator<NumberedEvent> {
    for await (const numbered of this.#eventsOf(await run.id, signal)) {
      const { event } = numbered;
      if (event.type === "completed" && !run.finished) {
        run.finished = true;
        // Joinable until it can be found in the store: no gap in which the same picture would be made again.
        this.#store(wanted, event).finally(() => this.#finish(key, run));
      } else if (event.type === "failed" || event.type === "cancelled") {
        this.#finish(key, run);
      }
      yield numbered;
    }
  }

  /** Picks the stream up where it broke off; the worker replays what was missed. */
  async *#eventsOf(id: string, signal: AbortSignal): AsyncGenerator<NumberedEvent> {
    const { worker, reconnectDelaysMs } = this.#options;
    let after = 0;
    for (let failures = 0; !signal.aborted;) {
      try {
        for await (const numbered of worker.events(id, { after, signal })) {
          after = numbered.id;
          failures = 0;
          yield numbered;
          if (isFinal(numbered.event)) return;
        }
      } catch (cause) {
        if (signal.aborted) return;
        if (failures >= reconnectDelaysMs.length || isGone(cause)) throw lost(cause);
      }
      if (failures >= reconnectDelaysMs.length) throw lost(new Error("The event stream ended early"));
      await new Promise((resolve) => setTimeout(resolve, reconnectDelaysMs[failures++]));
    }
  }

  async #store({ key, modelDigest }: WantedPicture, event: CompletedEvent): Promise<void> {
    const { b64_json, receipt, image_tokens } = event;
    if (key === undefined || receipt.model_digest !== modelDigest) return;
    try {
      await this.#options.results.set(key, { b64_json, receipt, image_tokens });
    } catch (cause) {
      this.#options.log("warn", "result was not stored", { error: String(cause) });
    }
  }
}

function storedPicture({ b64_json, receipt, image_tokens }: StoredResult): Picture {
  const event = {
    type: "completed" as const,
    b64_json,
    receipt: { ...receipt, cache: "hit" as const },
    image_tokens,
  };
  return {
    cache: "hit",
    async *events() {
      yield await Promise.resolve({ id: 1, event });
    },
    close() {},
  };
}

function isGone(cause: unknown): boolean {
  return cause instanceof ApiError && cause.status === 404;
}

function lost(cause: unknown): ApiError {
  return new ApiError(503, "The worker that made this picture can no longer be reached", {
    code: "worker_lost",
    retryAfter: 2,
    cause,
  });
}
