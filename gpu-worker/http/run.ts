// One picture being made: its request, its events, who watches, and how to stop it.
import { type CancelReason, isFinal, type NumberedEvent, type RunEvent } from "../../protocol/run_event.ts";
import type { RunRequest } from "../../protocol/run_request.ts";
import { EventLog } from "./event_log.ts";

export interface RunOptions {
  /** How long a run goes on with nobody following it. */
  unwatchedMs: number;
}

/** Lives from its acceptance until its events are forgotten. */
export class Run {
  readonly id: string = crypto.randomUUID();
  readonly request: RunRequest;
  /** performance.now() of its acceptance. */
  readonly acceptedAt: number = performance.now();
  readonly #log = new EventLog<RunEvent>();
  readonly #stop = new AbortController();
  readonly #options: RunOptions;
  #watchers = 0;
  #unwatched: ReturnType<typeof setTimeout> | undefined;

  constructor(request: RunRequest, options: RunOptions) {
    this.request = request;
    this.#options = options;
    this.#startUnwatchedTimer();
  }

  /** Aborts with a CancelReason. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  get finished(): boolean {
    return this.#log.closed;
  }

  /** Whether no event follows the one with id `after`, now or later. */
  endsAt(after: number): boolean {
    return this.finished && after >= this.#log.length;
  }

  /** A final event ends the run for its followers. */
  emit(event: RunEvent): void {
    this.#log.append(event);
    if (!isFinal(event)) return;
    this.#log.close();
    clearTimeout(this.#unwatched);
  }

  /** Has no effect on a finished run. */
  cancel(reason: CancelReason): void {
    if (!this.finished) this.#stop.abort(reason);
  }

  /** Events after id `after`, then those to come. While somebody reads, the run is watched. */
  async *follow(after: number, signal: AbortSignal): AsyncGenerator<NumberedEvent> {
    this.#watchers++;
    clearTimeout(this.#unwatched);
    try {
      yield* this.#log.read(after, signal);
    } finally {
      if (--this.#watchers === 0 && !this.finished) this.#startUnwatchedTimer();
    }
  }

  #startUnwatchedTimer(): void {
    const timer = setTimeout(() => this.cancel("unwatched"), this.#options.unwatchedMs);
    Deno.unrefTimer(timer);
    this.#unwatched = timer;
  }
}
