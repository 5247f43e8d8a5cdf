// Runs wait here for the device, first come first served, one at a time unless more are allowed; those that can be made together
// come with the first of them.
import { type Clock, systemClock } from "../../protocol/process/clock.ts";
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { CancelReason } from "../../protocol/wire/run_event.ts";
import type { RunRequest } from "../../protocol/wire/run_request.ts";
import { Run, type RunOptions } from "./run.ts";

export interface RunQueueOptions {
  /**
   * Makes the results of `runs` together and emits their events, final ones included; never rejects.
   * @param leaveDevice says that what remains needs the device no more
   */
  execute: (runs: readonly Run[], leaveDevice: () => void) => Promise<void>;
  /** Runs that may wait. @default 256 */
  capacity?: number;
  /**
   * What the device is at at once, each a run or a batch of them, all of one model: another's wait until the device is free of
   * the first.
   * @default 1
   */
  concurrency?: number;
  /** Runs that are made together at most. @default 1 */
  maxBatch?: number;
  /** A run that nobody has followed for this long is cancelled. @default 10000 */
  unwatchedMs?: number;
  /** How long a finished run's events can be read. @default 60000 */
  retentionMs?: number;
  /** Finished runs kept at most. @default 64 */
  retained?: number;
  /** @default the host's */
  clock?: Clock;
}

/** What has left the device and is being encoded does not pile up: the device waits beyond so many. */
const MAX_ENCODING = 2;

/**
 * Clients that have their pictures often ask for the next: what waits for the device meanwhile is held back this part of the last
 * batch's time, so that all are made together (docs/decisions/0025-batches-of-pictures.md).
 */
const RETURN_SHARE = 0.1;
const MAX_RETURN_MS = 50;

/** What is known of a run besides its request. */
export type SubmitOptions = Pick<RunOptions, "completed" | "origin" | "batch">;

export interface DrainOptions {
  /** Ends the runs on the device too, within one step. @default false */
  cancelCurrent?: boolean;
}

export class RunQueue {
  readonly #options: Required<RunQueueOptions>;
  /** Everything that can be followed, finished runs included. */
  readonly #runs = new Map<string, Run>();
  readonly #finished: Run[] = [];
  #waiting: Run[] = [];
  /** What the device is at. */
  readonly #current = new Set<readonly Run[]>();
  /** What has begun and not ended: on the device, or being encoded. */
  readonly #begun = new Set<readonly Run[]>();
  /** Runs that are held back until there are so many of them. */
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

  /** Runs that wait for the device. */
  get depth(): number {
    return this.#waiting.length;
  }

  /** Whether the device works. */
  get busy(): boolean {
    return this.#current.size > 0;
  }

  /** Runs that the device works at. */
  get running(): number {
    return this.#current.values().reduce((sum, { length }) => sum + length, 0);
  }

  get draining(): boolean {
    return this.#draining;
  }

  /**
   * A run that is known already, by its id and attempt, is not begun twice.
   * @throws {ApiError} 429 if the queue is full, 503 if the worker drains.
   */
  submit(request: RunRequest, options: SubmitOptions): { run: Run; position: number } {
    const known = request.shared && this.#runs.get(request.shared.id);
    if (known !== undefined && known.attempt >= request.shared!.attempt) {
      return { run: known, position: this.#positionOf(known) };
    }
    this.assertOpen();
    // An attempt that was given up elsewhere.
    known?.cancel("superseded");
    const run = new Run(request, { ...this.#options, ...options });
    run.signal.addEventListener("abort", () => this.#dropWaiting(run));
    this.#runs.set(run.id, run);
    this.#waiting.push(run);
    const position = this.#mayBegin(run) ? 0 : this.#positionOf(run);
    run.emit({ type: "queued", position });
    this.#fill();
    return { run, position };
  }

  /** @throws {ApiError} as submit() would. */
  assertOpen(): void {
    const { capacity } = this.#options;
    if (this.#draining) {
      throw new ApiError(503, "This worker is shutting down", { code: "worker_draining", retryAfter: 5 });
    }
    if (this.#waiting.length >= capacity) {
      throw new ApiError(429, `The queue is full: ${capacity} runs are waiting`, {
        code: "queue_full",
        retryAfter: 2,
      });
    }
  }

  /** @throws {ApiError} 404 if the run is unknown or forgotten. */
  get(id: string): Run {
    const run = this.#runs.get(id);
    if (run === undefined) throw new ApiError(404, "There is no such run", { code: "run_not_found" });
    return run;
  }

  /** Takes no new runs, cancels those that wait, and resolves once those that have begun have ended. */
  drain({ cancelCurrent = false }: DrainOptions = {}): Promise<void> {
    this.#draining = true;
    for (const run of [...this.#waiting]) run.cancel("draining");
    if (cancelCurrent) { for (const run of [...this.#begun].flat()) run.cancel("draining"); }
    return this.#idle.promise;
  }

  /** A cancelled run that the device has not begun is over at once; the one it has begun ends by its signal. */
  #dropWaiting(run: Run): void {
    if (!this.#waiting.includes(run)) return;
    this.#waiting = this.#waiting.filter((other) => other !== run);
    run.emit({ type: "cancelled", reason: run.signal.reason as CancelReason });
    this.#finish(run);
    this.#announcePositions();
    // It may have been the one that held up those behind it. Under drain() they are about to be cancelled themselves.
    if (!this.#draining) this.#fill();
  }

  /** Puts on the device what may begin. */
  #fill(): void {
    for (let run = this.#waiting[0]; run !== undefined && this.#mayBegin(run); run = this.#waiting[0]) {
      const batch = this.#batchOf(run);
      this.#waiting = this.#waiting.filter((other) => !batch.includes(other));
      this.#awaited = undefined;
      this.#execute(batch);
    }
  }

  /** `run`, the next, and those that are made with it. */
  #batchOf(run: Run): Run[] {
    if (run.batch === undefined) return [run];
    const { key, limit } = run.batch;
    return this.#waiting.filter(({ batch }) => batch?.key === key)
      .slice(0, Math.min(limit, this.#options.maxBatch));
  }

  /** Whether `run` is the next and the device has room for it. */
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

  /** Holds back what waits to be made as `left` was, until as many have joined it or their time is over. */
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

  /** Runs that go before it, those on the device included; 0 for one that waits no more. */
  #positionOf(run: Run): number {
    const index = this.#waiting.indexOf(run);
    return index === -1 ? 0 : index + this.running;
  }

  #finish(run: Run): void {
    this.#finished.push(run);
    while (this.#finished.length > this.#options.retained) this.#forget(this.#finished.shift()!);
    // The timer does not keep what `retained` has let go: under load that would be a minute's runs with all their events.
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
