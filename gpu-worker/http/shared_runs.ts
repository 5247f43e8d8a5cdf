// Writes runs to the shared run log, and learns from it
// whether anybody still waits. An edge that dies loses no run.
import { type Clock, systemClock } from "../../protocol/process/clock.ts";
import { readRedisAddress } from "../../protocol/store/redis_address.ts";
import { RedisLink } from "../../protocol/store/redis_link.ts";
import { RedisResultStore } from "../../protocol/store/results/redis_result_store.ts";
import type { ResultStore } from "../../protocol/store/results/result_store.ts";
import { type CancelReason, goesOnElsewhere, type NumberedEvent } from "../../protocol/wire/run_event.ts";
import { RedisRunLog } from "../../protocol/store/run_log/redis_run_log.ts";
import { type HeldRun, RENEW_MS, type RunLog, type Standing } from "../../protocol/store/run_log/run_log.ts";
import type { Log } from "../../protocol/process/structured_log.ts";
import type { Run } from "./run.ts";

export interface SharedRunsOptions {
  runs: RunLog;
  results: ResultStore;
  log: Log;
  /** How long to retry writing the end of a run while the store is away or full. @default 600000 */
  patienceMs?: number;
  /** @default the host's */
  clock?: Clock;
}

interface Shared {
  run: Run;
  held: HeldRun;
  /** Keeps the run going. Set while somebody waits for it, or while that is unknown. */
  watch: Disposable | undefined;
}

/** Shortest time between two events about a run's place in the queue. */
const QUEUE_NEWS_MS = 500;
/** Delay between attempts to write while the store is away. */
const RETRY_MS = 500;

/**
 * Opens the shared run log that the environment configures.
 * @returns undefined if no store is configured; edges then follow this worker's own log
 * @throws {TypeError} naming the variable at fault
 */
export function openSharedRuns(
  { env, log }: { env: (name: string) => string | undefined; log: Log },
): SharedRuns | undefined {
  const address = readRedisAddress(env);
  if (address === undefined) return undefined;
  const link = new RedisLink(address);
  return new SharedRuns({ runs: new RedisRunLog(link), results: new RedisResultStore({ link, log }), log });
}

export class SharedRuns {
  readonly #options: Required<SharedRunsOptions>;
  readonly #shared = new Set<Shared>();
  readonly #writing = new Set<Promise<void>>();
  #renewal: Disposable | undefined;

  constructor(options: SharedRunsOptions) {
    this.#options = { patienceMs: 600_000, clock: systemClock, ...options };
  }

  /** Writes every event of `run` to the shared log. Does nothing if the run is already being written. */
  share(run: Run): void {
    if ([...this.#shared].some((shared) => shared.run === run)) return;
    const shared = { run, held: { id: run.id, attempt: run.attempt }, watch: run.watch() };
    this.#shared.add(shared);
    const writing = this.#write(shared).finally(() => {
      shared.watch?.[Symbol.dispose]();
      this.#shared.delete(shared);
      this.#writing.delete(writing);
      if (this.#shared.size === 0) {
        this.#renewal?.[Symbol.dispose]();
        this.#renewal = undefined;
      }
    });
    this.#writing.add(writing);
    if (this.#renewal === undefined) this.#renewLater();
  }

  /** Resolves when every event so far is written, or after `timeoutMs`. */
  async settled(timeoutMs: number): Promise<void> {
    const late = Promise.withResolvers<void>();
    using _timer = this.#options.clock.after(timeoutMs, late.resolve);
    await Promise.race([Promise.all(this.#writing), late.promise]);
  }

  async #write(shared: Shared): Promise<void> {
    const { run, held } = shared;
    let after = run.request.shared?.after ?? 0;
    for (let events = await run.next(after); events.length > 0; events = await run.next(after)) {
      const standing = await this.#append(shared, withoutOutdated(events));
      if (standing === "unknown") return;
      if (standing === "lost") return run.cancel("superseded");
      if (standing === "cancelled") run.cancel("requested");
      after = events.at(-1)!.id;
      const left = leftBy(events);
      if (left === "draining") await this.#options.runs.release(held).catch(() => {});
      if (left !== undefined) return;
      // Queue positions change for all waiting runs whenever one
      // moves on. Writing the latest now and then is enough.
      if (isWaiting(events)) await Promise.race([run.begun, this.#delay(QUEUE_NEWS_MS)]);
    }
  }

  async #append({ run, held }: Shared, events: NumberedEvent[]): Promise<Standing["state"]> {
    const { runs, log, patienceMs, clock } = this.#options;
    // Another worker goes on with the run, so the cancellation is not its end.
    const told = leftBy(events) === undefined ? events : events.slice(0, -1);
    for (let finishedAt = Infinity;;) {
      try {
        await this.#store(run, told);
        return await runs.append(held, told);
      } catch (cause) {
        finishedAt = Math.min(finishedAt, run.finished ? clock.now() : Infinity);
        log("warn", "run log is away", { run: run.id, error: String(cause) });
        if (clock.now() - finishedAt > patienceMs) return "unknown";
        await this.#delay(RETRY_MS);
      }
    }
  }

  /**
   * Stores the result before the log announces it. Otherwise the same request could be made again in between.
   */
  async #store({ request }: Run, events: readonly NumberedEvent[]): Promise<void> {
    const event = events.at(-1)?.event;
    const store = request.shared?.store;
    if (event?.type !== "completed" || store === undefined) return;
    if (event.receipt.model_digest !== store.model_digest) return;
    const { type: _type, ...result } = event;
    await this.#options.results.set(store.key, { ...result, stored_at: Date.now() });
  }

  #renewLater(): void {
    this.#renewal = this.#options.clock.after(RENEW_MS, () => {
      this.#renewLater();
      this.#renew();
    });
  }

  #delay(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#options.clock.after(ms, resolve));
  }

  async #renew(): Promise<void> {
    const all = [...this.#shared];
    try {
      const standings = await this.#options.runs.renew(all.map(({ held }) => held));
      all.forEach((shared, index) => this.#heed(shared, standings[index]!));
    } catch {
      // Nobody can say now whether somebody waits, so keep all runs going.
      for (const shared of all) shared.watch ??= shared.run.watch();
    }
  }

  #heed(shared: Shared, { state, viewers }: Standing): void {
    const { run } = shared;
    if (run.finished) return;
    if (state === "cancelled") return run.cancel("requested");
    if (state === "lost") return run.cancel("superseded");
    if (state === "held" && viewers > 0) {
      shared.watch ??= run.watch();
    } else {
      shared.watch?.[Symbol.dispose]();
      shared.watch = undefined;
    }
  }
}

function isWaiting(events: readonly NumberedEvent[]): boolean {
  return events.at(-1)?.event.type === "queued";
}

/** Drops a queue position that is followed by a newer one. */
function withoutOutdated(events: readonly NumberedEvent[]): NumberedEvent[] {
  return events.filter(({ event }, index) =>
    event.type !== "queued" || events[index + 1]?.event.type !== "queued"
  );
}

/** Returns why this attempt ends while the run goes on elsewhere. */
function leftBy(events: readonly NumberedEvent[]): CancelReason | undefined {
  const event = events.at(-1)?.event;
  return event?.type === "cancelled" && goesOnElsewhere(event) ? event.reason : undefined;
}
