// One run: its request, its events, its watchers, and how to stop it.
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
  /** How long a run continues while nobody follows it, in milliseconds. */
  unwatchedMs: number;
  clock: Clock;
  /** The edge's request that began the run. @default unknown */
  origin?: RunOrigin | undefined;
  /** `request` with every default filled in. */
  completed: CompleteRun;
  /** The terms on which the run joins a picture batch. @default made alone */
  batch?: BatchTerms | undefined;
}

/** The terms on which runs may be made together. */
export interface BatchTerms {
  /** Runs with the same key differ only in prompts, seed and output file. */
  key: string;
  /** Largest number of runs that are worth making together. */
  limit: number;
}

/** The origin of a run, for logs and traces. */
export interface RunOrigin {
  /** The edge's id of the request that began the run. */
  requestId: string | undefined;
  /** The run's place in the request's trace. */
  context: Context;
}

/** A run, from its acceptance until its events are forgotten. */
export class Run {
  readonly id: string;
  /** Number of this attempt to make the run, from 1. */
  readonly attempt: number;
  readonly request: RunRequest;
  /** `request` with every default filled in. */
  readonly completed: CompleteRun;
  readonly origin: RunOrigin | undefined;
  readonly batch: BatchTerms | undefined;
  /** Time of acceptance, by the run's clock. */
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

  /** Resolves when the run no longer waits: it is on the device, or it has ended. */
  get begun(): Promise<void> {
    return this.#begun.promise;
  }

  /** Aborts when the run is cancelled, with a CancelReason. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** The final event. Undefined until the run has ended. */
  get outcome(): FinalEvent | undefined {
    return this.#outcome;
  }

  get finished(): boolean {
    return this.#log.closed;
  }

  /** Returns whether the event with id `after` is the last one and the run has ended. */
  endsAt(after: number): boolean {
    return this.finished && after >= this.#log.lastId;
  }

  /** Appends an event. A final event ends the run for its followers. */
  emit(event: RunEvent): void {
    this.#log.append(event);
    if (event.type !== "queued") this.#begun.resolve();
    if (!isFinal(event)) return;
    this.#outcome ??= event;
    this.#log.close();
    this.#unwatched?.[Symbol.dispose]();
  }

  /** Milliseconds since the run was accepted. */
  get ageMs(): number {
    return this.#options.clock.now() - this.acceptedAt;
  }

  /** Cancels the run. Does nothing if it is finished. */
  cancel(reason: CancelReason): void {
    if (!this.finished) this.#stop.abort(reason);
  }

  /**
   * Yields the events after id `after`, past and future. The run counts as watched while the caller reads.
   */
  async *follow(after: number, signal: AbortSignal): AsyncGenerator<NumberedEvent> {
    using _watch = this.watch();
    yield* this.#log.read(after, signal);
  }

  /**
   * Resolves to the events after id `after` as soon as there
   * are any; to none after the end. Does not count as watching.
   */
  next(after: number): Promise<NumberedEvent[]> {
    return this.#log.next(after);
  }

  /** Keeps the run going until the result is disposed of, even if nobody follows it here. */
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
