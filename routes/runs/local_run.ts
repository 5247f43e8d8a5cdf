// One run as this edge sees it: a copy of its events, fed from the run log, for any number of viewers here.
import { ApiError } from "../../protocol/wire/api_error.ts";
import { EventLog } from "../../protocol/store/event_log.ts";
import {
  goesOnElsewhere,
  isFinal,
  type NumberedEvent,
  type RunEvent,
} from "../../protocol/wire/run_event.ts";
import { type Clock, systemClock } from "../../protocol/process/clock.ts";
import { attemptOf, idsBefore } from "../../protocol/store/run_log/attempt_ids.ts";
import { isStep, type RunLog, type RunPage } from "../../protocol/store/run_log/run_log.ts";
import type { PooledWorker, WorkerPool } from "./worker_pool.ts";
import { workerLost } from "./run_failure.ts";

export interface LocalRunOptions {
  pool: Pick<WorkerPool, "client">;
  /**
   * Delays between attempts to find a run that the log does not know, in milliseconds, one for each attempt.
   * @default [100, 500, 2000, 4000]
   */
  reconnectDelaysMs?: readonly number[];
  /** @default the host's */
  clock?: Clock;
}

/**
 * How often a log that is away is looked at, a second apart at most: the run goes on meanwhile, and
 * most outages are shorter.
 */
const AWAY_TRIES = 60;
const AWAY_DELAY_MS = 1000;
/** Longer than it takes until a run is taken over once its log is back. */
const RECOVERY_MS = 10_000;

export interface Feed {
  id: string;
  log: RunLog;
}

export class LocalRun {
  readonly #options: Required<LocalRunOptions>;
  readonly #events = new EventLog<RunEvent>();
  readonly #stop = new AbortController();
  #changed = Promise.withResolvers<void>();
  #error: ApiError | undefined;
  /** The time at which the log was last away, by the clock. */
  #awayAt = -Infinity;
  /** Origin of the worker that makes it, once known. */
  worker: string | undefined;

  constructor(options: LocalRunOptions) {
    this.#options = { reconnectDelaysMs: [100, 500, 2000, 4000], clock: systemClock, ...options };
  }

  get finished(): boolean {
    return this.#events.closed;
  }

  /** Whether the log was away a moment ago: the run may stand still until it is taken over. */
  get recovering(): boolean {
    return this.#options.clock.now() - this.#awayAt < RECOVERY_MS;
  }

  /** Reads what there is and what comes, until the end or `stop()`. Never rejects. */
  async feed({ id, log }: Feed): Promise<void> {
    const { signal } = this.#stop;
    const { reconnectDelaysMs: delays } = this.#options;
    let failures = 0;
    while (!signal.aborted && !this.finished) {
      // Taken before the read, so that no news is missed in between.
      const news = this.#changed.promise;
      let isAway = false;
      const page = await log.read(id, this.#events.lastId).catch(() => void (isAway = true));
      if (signal.aborted) return;
      if (page !== undefined) {
        failures = 0;
        this.#take(page);
        if (page.events.length === 0 && !this.finished) await within(news, log.pollMs);
        continue;
      }
      if (isAway) this.#awayAt = this.#options.clock.now();
      // The log is away, or has lost the run: the worker has one of its own.
      const worker = this.worker === undefined ? undefined : this.#options.pool.client(this.worker);
      const heard = worker !== undefined && await this.#follow(worker, { id, log });
      if (heard) failures = 0;
      if (this.finished || signal.aborted) return;
      if (failures >= (isAway ? AWAY_TRIES : delays.length)) return this.fail(workerLost());
      const delayMs = delays[Math.min(failures++, delays.length - 1)] ?? 0;
      await new Promise((resolve) =>
        setTimeout(resolve, isAway ? Math.min(delayMs, AWAY_DELAY_MS) : delayMs)
      );
    }
  }

  /** Tells the run that the log has changed. */
  notify(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** Ends the run for its viewers here. The run itself may go on. */
  fail(error: ApiError): void {
    this.#error = error;
    this.#events.close();
  }

  /** Stops reading: nobody here needs the run any more. */
  stop(): void {
    this.#stop.abort();
    this.notify();
  }

  /**
   * Ends after the final event, or early and quietly on `signal`. Steps of two attempts always have a
   * `restarted` between them, also where the log lacks it: it may not know of the steps that a viewer has
   * from a worker alone, or that a worker wrote whose answer was lost.
   * @throws {ApiError} if the run is lost
   */
  async *events(signal: AbortSignal, after = 0): AsyncGenerator<NumberedEvent> {
    let attempt = attemptOf(after);
    let hasSteps = after > idsBefore(attempt);
    for await (const numbered of this.#events.read(after, signal)) {
      const { id, event } = numbered;
      const isNext = attemptOf(id) > attempt;
      attempt = attemptOf(id);
      if (isNext && hasSteps && event.type !== "restarted" && !isFinal(event)) {
        yield { id: idsBefore(attempt), event: { type: "restarted", attempt } };
      }
      hasSteps = !isNext && hasSteps || isStep(event);
      yield numbered;
    }
    if (this.#error !== undefined && !signal.aborted) throw this.#error;
  }

  #take({ state, worker, events }: RunPage): void {
    this.worker = worker ?? this.worker;
    for (const { id, event } of events) this.#append(id, event);
    // The run ended without a final event: nobody was left to make it.
    if (state !== "open" && events.length === 0 && !this.finished) {
      this.#append(this.#events.lastId + 1, { type: "cancelled", reason: "unwatched" });
    }
  }

  #append(id: number, event: RunEvent): void {
    this.#events.append(event, id);
    if (isFinal(event)) this.#events.close();
  }

  /**
   * Follows the worker's own log until it ends or `log` is back: the worker may hang while the log tells that
   * another one goes on.
   * @returns whether there was any news
   */
  async #follow(worker: PooledWorker, { id, log }: Feed): Promise<boolean> {
    let heard = false;
    const back = new AbortController();
    const signal = AbortSignal.any([this.#stop.signal, back.signal]);
    this.#untilBack({ id, log }, signal).then(() => back.abort());
    try {
      for await (const numbered of worker.events(id, { after: this.#events.lastId, signal })) {
        if (goesOnElsewhere(numbered.event)) break;
        heard = true;
        this.#append(numbered.id, numbered.event);
      }
    } catch {
      // The caller comes back, or gives up.
    } finally {
      back.abort();
    }
    return heard;
  }

  /** Resolves once the log knows the run again, or on `signal`. */
  async #untilBack({ id, log }: Feed, signal: AbortSignal): Promise<void> {
    const { reconnectDelaysMs: delays } = this.#options;
    const { promise: aborted, resolve } = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => resolve(), { once: true });
    const everyMs = Math.min(delays.at(-1) ?? 0, AWAY_DELAY_MS);
    for (let isBack = false; !isBack && !signal.aborted;) {
      await within(aborted, everyMs);
      if (signal.aborted) return;
      isBack = await log.read(id, this.#events.lastId).then((page) => page !== undefined, () => false);
    }
  }
}

async function within(promise: Promise<void>, timeoutMs: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => timer = setTimeout(resolve, timeoutMs));
  await Promise.race([promise, late]);
  clearTimeout(timer);
}
