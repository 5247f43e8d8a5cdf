// Queues runs for the device: owners take turns, and each owner's runs are served in their order. One run at
// a time unless `concurrency` allows more; a run takes along waiting runs that can be made together with it.
import { type Clock, systemClock } from "../../protocol/process/clock.ts";
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { CancelReason } from "../../protocol/wire/run_event.ts";
import type { RunRequest } from "../../protocol/wire/run_request.ts";
import { QueueTurns, shareOf } from "./queue_turns.ts";
import { Run, type RunOptions } from "./run.ts";

export interface RunQueueOptions {
  /**
   * Makes `runs` together and emits their events, including the final ones. Never rejects.
   * @param leaveDevice says that the device is free: only encoding is left
   */
  execute: (runs: readonly Run[], leaveDevice: () => void) => Promise<void>;
  /** Largest number of waiting runs. @default 256 */
  capacity?: number;
  /**
   * Number of runs or batches on the device at once. All must be of one
   * model; runs of another model wait until the device is free.
   * @default 1
   */
  concurrency?: number;
  /** Largest picture batch. @default 1 */
  maxBatch?: number;
  /** A run that nobody follows for this long is cancelled. @default 10000 */
  unwatchedMs?: number;
  /** How long a finished run's events can be read. @default 60000 */
  retentionMs?: number;
  /** Largest number of finished runs to keep. @default 64 */
  retained?: number;
  /** @default the host's */
  clock?: Clock;
}

/**
 * Largest number of batches that are only being encoded.
 * Beyond it the device waits, so that results do not pile up.
 */
const MAX_ENCODING = 2;

/**
 * After a picture batch, waiting runs are held back for this share of the batch's
 * time. Clients that have their picture often ask for the next, and all can then be
 * made together (docs/decisions/0025-batches-of-pictures.md).
 */
const RETURN_SHARE = 0.1;
const MAX_RETURN_MS = 50;

/** Options of a run, besides its request. */
export type SubmitOptions = Pick<RunOptions, "completed" | "origin" | "batch">;

export interface DrainOptions {
  /** Also cancels the runs on the device; they end within one step. @default false */
  cancelCurrent?: boolean;
}

export class RunQueue {
  readonly #options: Required<RunQueueOptions>;
  /** All runs that can be followed, including finished ones. */
  readonly #runs = new Map<string, Run>();
  readonly #finished: Run[] = [];
  /** The newest attempt that an edge has given up before it came, by the run's id. */
  readonly #givenUp = new Map<string, number>();
  /** In the order in which they are served. */
  #waiting: readonly Run[] = [];
  readonly #turns = new QueueTurns();
  /** The batches on the device. */
  readonly #current = new Set<readonly Run[]>();
  /** The batches that have begun and not ended: on the device, or being encoded. */
  readonly #begun = new Set<readonly Run[]>();
  /** Holds back runs with this key until `count` of them wait. */
  #awaited: { key: string; count: number } | undefined;
  #draining = false;
  #idle = Promise.withResolvers<void>();

  constructor(options: RunQueueOptions) {
    this.#options = {
      capacity: 256,
      concurrency: 1,
      maxBatch: 1,
      unwatchedMs: 10_000,
      retentionMs: 60_000,
      retained: 64,
      clock: systemClock,
      ...options,
    };
    this.#idle.resolve();
  }

  /** Number of runs that wait for the device. */
  get depth(): number {
    return this.#waiting.length;
  }

  /** Whether the device is working. */
  get busy(): boolean {
    return this.#current.size > 0;
  }

  /** Number of runs on the device. */
  get running(): number {
    return this.#current.values().reduce((sum, { length }) => sum + length, 0);
  }

  get draining(): boolean {
    return this.#draining;
  }

  /**
   * Adds a run to the queue. A request whose id and attempt are known already returns its existing run.
   * @throws {ApiError} 429 if the queue or the owner's share of it is full, 503 if the worker is
   * draining, 409 if the edge gave the attempt up.
   */
  submit(request: RunRequest, options: SubmitOptions): { run: Run; position: number } {
    const known = request.shared && this.#runs.get(request.shared.id);
    if (known !== undefined && known.attempt >= request.shared!.attempt) {
      return { run: known, position: this.#positionOf(known) };
    }
    this.assertOpen(request);
    if (request.shared && request.shared.attempt <= (this.#givenUp.get(request.shared.id) ?? 0)) {
      throw new ApiError(409, "This attempt was given up before it came", { code: "superseded" });
    }
    // The edge has given up the earlier attempt.
    known?.cancel("superseded");
    const run = new Run(request, { ...this.#options, ...options });
    run.signal.addEventListener("abort", () => this.#dropWaiting(run));
    this.#runs.set(run.id, run);
    this.#waiting = this.#turns.insert(run, this.#waiting);
    const position = this.#mayBegin(run) ? 0 : this.#positionOf(run);
    run.emit({ type: "queued", position });
    this.#fill();
    return { run, position };
  }

  /**
   * Checks that the queue accepts this run.
   * @throws {ApiError} as submit() would.
   */
  assertOpen(request: Pick<RunRequest, "owner" | "background">): void {
    const { capacity } = this.#options;
    if (this.#draining) {
      throw new ApiError(503, "This worker is shutting down", { code: "worker_draining", retryAfter: 5 });
    }
    if (this.#waiting.length >= capacity) {
      throw full(`The queue is full: ${capacity} runs are waiting`);
    }
    const { held, most } = shareOf(request, { waiting: this.#waiting, capacity });
    if (held >= most) {
      const kind = request.background ? "jobs" : "runs";
      throw full(`The queue keeps room for others: ${held} ${kind} of this key are waiting`);
    }
  }

  /**
   * Returns the run with this id.
   * @throws {ApiError} 404 if the run is unknown or forgotten.
   */
  get(id: string): Run {
    const run = this.#runs.get(id);
    if (run === undefined) throw new ApiError(404, "There is no such run", { code: "run_not_found" });
    return run;
  }

  /**
   * Cancels a run up to `attempt`. A worker that hung may get the run itself later, as its edge has not
   * waited: then the run does not begin.
   */
  giveUp({ id, attempt }: { id: string; attempt: number }): void {
    const run = this.#runs.get(id);
    if (run !== undefined && run.attempt <= attempt) run.cancel("superseded");
    if (run !== undefined && run.attempt >= attempt) return;
    this.#givenUp.set(id, Math.max(attempt, this.#givenUp.get(id) ?? 0));
    this.#options.clock.after(this.#options.retentionMs, () => this.#givenUp.delete(id));
  }

  /** Refuses new runs, cancels waiting runs, and resolves once all begun runs have ended. */
  drain({ cancelCurrent = false }: DrainOptions = {}): Promise<void> {
    this.#draining = true;
    for (const run of [...this.#waiting]) run.cancel("draining");
    if (cancelCurrent) { for (const run of [...this.#begun].flat()) run.cancel("draining"); }
    return this.#idle.promise;
  }

  /** Ends a cancelled run that is still waiting. A begun run ends by its signal. */
  #dropWaiting(run: Run): void {
    if (!this.#waiting.includes(run)) return;
    this.#waiting = this.#waiting.filter((other) => other !== run);
    run.emit({ type: "cancelled", reason: run.signal.reason as CancelReason });
    this.#finish(run);
    this.#announcePositions();
    // The run may have held up the runs behind it. Under drain() they are about to be cancelled too.
    if (!this.#draining) this.#fill();
  }

  /** Starts every waiting run that may begin. */
  #fill(): void {
    for (let run = this.#waiting[0]; run !== undefined && this.#mayBegin(run); run = this.#waiting[0]) {
      const batch = this.#batchOf(run);
      this.#waiting = this.#waiting.filter((other) => !batch.includes(other));
      this.#turns.begin(batch);
      this.#awaited = undefined;
      this.#execute(batch);
    }
  }

  /** Returns `run`, which is next, and the waiting runs that are made together with it. */
  #batchOf(run: Run): Run[] {
    if (run.batch === undefined) return [run];
    const { key, limit } = run.batch;
    return this.#waiting.filter(({ batch }) => batch?.key === key)
      .slice(0, Math.min(limit, this.#options.maxBatch));
  }

  /** Returns whether `run` is next and the device has room for it. */
  #mayBegin(run: Run): boolean {
    const { concurrency } = this.#options;
    if (run !== this.#waiting[0] || this.#current.size >= concurrency) return false;
    if (this.#begun.size >= concurrency + MAX_ENCODING) return false;
    const { key, count } = this.#awaited ?? {};
    if (count !== undefined && key === run.batch?.key && this.#batchOf(run).length < count) return false;
    return [...this.#current].every(([other]) => other!.request.model === run.request.model);
  }

  async #execute(batch: readonly Run[]): Promise<void> {
    if (this.#begun.size === 0) this.#idle = Promise.withResolvers();
    this.#begun.add(batch);
    this.#current.add(batch);
    this.#announcePositions();
    const { clock } = this.#options;
    const begun = clock.now();
    const leaveDevice = () => {
      if (!this.#current.delete(batch)) return;
      this.#awaitReturn(batch, clock.now() - begun);
      this.#fill();
    };
    await this.#options.execute(batch, leaveDevice);
    for (const run of batch) this.#finish(run);
    this.#begun.delete(batch);
    leaveDevice();
    this.#fill();
    if (this.#begun.size === 0) this.#idle.resolve();
  }

  /**
   * Holds back waiting runs of the same kind as `left` until
   * as many more have joined them, or until time is up.
   */
  #awaitReturn(left: readonly Run[], ms: number): void {
    const [next] = this.#waiting;
    if (next?.batch === undefined || next.batch.key !== left[0]!.batch?.key) return;
    const { key, limit } = next.batch;
    const waiting = this.#batchOf(next).length;
    const count = Math.min(waiting + left.length, limit, this.#options.maxBatch);
    if (count === waiting) return;
    const awaited = { key, count };
    this.#awaited = awaited;
    this.#options.clock.after(Math.min(MAX_RETURN_MS, RETURN_SHARE * ms), () => {
      if (this.#awaited !== awaited) return;
      this.#awaited = undefined;
      this.#fill();
    });
  }

  #announcePositions(): void {
    for (const run of this.#waiting) run.emit({ type: "queued", position: this.#positionOf(run) });
  }

  /**
   * Returns the number of runs ahead of `run`, including those on the device; 0 if `run` no longer waits.
   */
  #positionOf(run: Run): number {
    const index = this.#waiting.indexOf(run);
    return index === -1 ? 0 : index + this.running;
  }

  #finish(run: Run): void {
    this.#finished.push(run);
    while (this.#finished.length > this.#options.retained) this.#forget(this.#finished.shift()!);
    // The timer must not keep runs alive that `retained` has dropped.
    // Under load that would be a minute's runs and their events.
    const kept = new WeakRef(run);
    const forget = () => {
      const run = kept.deref();
      if (run !== undefined) this.#forget(run);
    };
    this.#options.clock.after(this.#options.retentionMs, forget);
  }

  #forget(run: Run): void {
    if (this.#runs.get(run.id) === run) this.#runs.delete(run.id);
  }
}

function full(message: string): ApiError {
  return new ApiError(429, message, { code: "queue_full", retryAfter: 2 });
}
