// One result being made: its request, its events, who watches, and how to stop it.
import type { Context } from "@opentelemetry/api";
import type { Clock } from "../../protocol/process/clock.ts";
import { EventLog } from "../../protocol/store/event_log.ts";
import {
  type CancelReason,
  type FinalEvent,
  isFinal,
  type NumberedEvent,
  type RunEvent,
} from "../../protocol/wire/run_event.ts";
import type { RunRequest } from "../../protocol/wire/run_request.ts";
import type { CompleteRun } from "./wire_request.ts";

export interface RunOptions {
  /** How long a run goes on with nobody following it. */
  unwatchedMs: number;
  clock: Clock;
  /** @default none is known */
  origin?: RunOrigin | undefined;
  /** `request` with every default filled in. */
  completed: CompleteRun;
  /** @default made by itself */
  batch?: BatchTerms | undefined;
}

/** With whom a run may be made together. */
export interface BatchTerms {
  /** Runs with the same one differ in prompts, seed and what becomes of the picture alone. */
  key: string;
  /** Runs that are worth making together. */
  limit: number;
}

/** Whose doing a run is, for logs and traces. */
export interface RunOrigin {
  /** As the edge names the request that began it. */
  requestId: string | undefined;
  /** Its place in that request's trace. */
  context: Context;
}

/** Lives from its acceptance until its events are forgotten. */
export class Run {
  readonly id: string;
  /** Which attempt to make it this is. */
  readonly attempt: number;
  readonly request: RunRequest;
  /** The same with every default filled in. */
  readonly completed: CompleteRun;
  readonly origin: RunOrigin | undefined;
  readonly batch: BatchTerms | undefined;
  /** When it was accepted, by its clock. */
  readonly acceptedAt: number;
  readonly #log: EventLog<RunEvent>;
  readonly #stop = new AbortController();
  readonly #begun = Promise.withResolvers<void>();
  readonly #options: RunOptions;
  #outcome: FinalEvent | undefined;
  #watchers = 0;
  #unwatched: Disposable | undefined;

  constructor(request: RunRequest, options: RunOptions) {
    const { id = crypto.randomUUID(), attempt = 1, after = 0 } = request.shared ?? {};
    this.id = id;
    this.attempt = attempt;
    this.request = request;
    this.completed = options.completed;
    this.#log = new EventLog(after);
    this.#options = options;
    this.acceptedAt = options.clock.now();
    this.origin = options.origin;
    this.batch = options.batch;
    this.#startUnwatchedTimer();
  }

  /** Resolves when it waits no more: it is on the device, or over. */
  get begun(): Promise<void> {
    return this.#begun.promise;
  }

  /** Aborts with a CancelReason. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** What it ended with. */
  get outcome(): FinalEvent | undefined {
    return this.#outcome;
  }

  get finished(): boolean {
    return this.#log.closed;
  }

  /** Whether no event follows the one with id `after`, now or later. */
  endsAt(after: number): boolean {
    return this.finished && after >= this.#log.lastId;
  }

  /** A final event ends the run for its followers. */
  emit(event: RunEvent): void {
    this.#log.append(event);
    if (event.type !== "queued") this.#begun.resolve();
    if (!isFinal(event)) return;
    this.#outcome ??= event;
    this.#log.close();
    this.#unwatched?.[Symbol.dispose]();
  }

  /** Milliseconds since it was accepted. */
  get ageMs(): number {
    return this.#options.clock.now() - this.acceptedAt;
  }

  /** Has no effect on a finished run. */
  cancel(reason: CancelReason): void {
    if (!this.finished) this.#stop.abort(reason);
  }

  /** Events after id `after`, then those to come. While somebody reads, the run is watched. */
  async *follow(after: number, signal: AbortSignal): AsyncGenerator<NumberedEvent> {
    using _watch = this.watch();
    yield* this.#log.read(after, signal);
  }

  /** Events after id `after` once there are some; none after the end. Does not count as watching. */
  next(after: number): Promise<NumberedEvent[]> {
    return this.#log.next(after);
  }

  /** Until disposed of, the run goes on although nobody follows it here. */
  watch(): Disposable {
    let ended = false;
    this.#watchers++;
    this.#unwatched?.[Symbol.dispose]();
    return {
      [Symbol.dispose]: () => {
        if (ended) return;
        ended = true;
        if (--this.#watchers === 0 && !this.finished) this.#startUnwatchedTimer();
      },
    };
  }

  #startUnwatchedTimer(): void {
    const { clock, unwatchedMs } = this.#options;
    this.#unwatched = clock.after(unwatchedMs, () => this.cancel("unwatched"));
  }
}
