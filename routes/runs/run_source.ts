// The source of results: the result store, a run that any edge has begun for the same request, or a new run.
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { ResultStore } from "../../protocol/store/results/result_store.ts";
import type { CompletedEvent, RunEvent } from "../../protocol/wire/run_event.ts";
import { MemoryRunLog } from "../../protocol/store/run_log/memory_run_log.ts";
import { RENEW_MS, type RunBrief, type RunLog } from "../../protocol/store/run_log/run_log.ts";
import { StoreAwayError } from "../../protocol/store/store_away_error.ts";
import { type Clock, systemClock } from "../../protocol/process/clock.ts";
import type { Log } from "../../protocol/process/structured_log.ts";
import { Attendance } from "./attendance.ts";
import { LocalRun } from "./local_run.ts";
import { type OpenOptions, orderOf, type WantedRun } from "./wanted_run.ts";
import { RunDispatcher, type RunDispatcherOptions, type RunOrder } from "./run_dispatcher.ts";
import { eventsOf, type RunView, storedRun } from "./run_view.ts";
import type { WorkerPool } from "./worker_pool.ts";

export interface RunSourceOptions
  extends Pick<RunDispatcherOptions, "reconnectDelaysMs" | "maxAttempts" | "stopping"> {
  pool: Pick<WorkerPool, "submit" | "cancel" | "client">;
  results: ResultStore;
  /** Shared by all edges. @default this process's own */
  runs?: RunLog;
  log: Log;
  /** Whether clients reach this edge, so that a client of another edge may continue here. @default true */
  listed?: boolean;
  /** @default the host's */
  clock?: Clock;
}

interface Shared {
  local: LocalRun;
  /** Name of this edge in the log. */
  viewer: string;
  viewers: number;
  previews: number;
  name: string | undefined;
  /** Whether the run is in this process's log alone, because the store was away. */
  isOwn: boolean;
  opening: Promise<{ id: string; log: RunLog; cache: RunView["cache"] }>;
}

/**
 * Milliseconds after which a silent edge no longer counts as a viewer. Until then its clients can find
 * another edge, or the store can come back.
 */
const VIEWER_MS = 30_000;
const KEEP_MS = 60_000;
/** Interval in milliseconds at which an edge without runs looks for runs without a maker. */
const IDLE_SWEEP_MS = 5000;

export class RunSource implements Disposable {
  readonly #options: RunSourceOptions;
  readonly #dispatcher: RunDispatcher;
  /** The in-process log: the only one without Redis, and the fallback while Redis is down. */
  readonly #own = new MemoryRunLog();
  readonly #runs: RunLog;
  readonly #open = new Set<Shared>();
  readonly #byName = new Map<string, Shared>();
  readonly #byId = new Map<string, Set<Shared>>();
  readonly #subscriptions: Disposable[];
  readonly #clock: Clock;
  readonly #attendance: Attendance;
  #timer: Disposable;
  #sweptAt = 0;

  constructor(options: RunSourceOptions) {
    this.#options = options;
    this.#runs = options.runs ?? this.#own;
    this.#dispatcher = new RunDispatcher({ ...options, store: (order, event) => this.#store(order, event) });
    const logs = new Set([this.#own, this.#runs]);
    this.#subscriptions = [...logs].map((log) => log.changes((id) => this.#changed(id)));
    this.#clock = options.clock ?? systemClock;
    const { listed } = options;
    this.#attendance = new Attendance({ runs: this.#runs, clock: this.#clock, listed });
    this.#timer = this.#tickLater();
  }

  /** Whether clients may continue at another edge. */
  get hasPeers(): boolean {
    return this.#attendance.hasPeers;
  }

  /**
   * Opens a wanted result: a stored one, a run under way, or a new run. While the store is away a result is
   * made here and stored nowhere; a run that other edges have to find is refused.
   * @throws {ApiError} as workers refuse the run. The caller closes what it gets.
   */
  async open(wanted: WantedRun, options: OpenOptions = {}): Promise<RunView> {
    // A run under way at this edge needs no look elsewhere.
    const isAlone = options.detached === undefined;
    let joined = isAlone ? this.#joinable(wanted, options) : undefined;
    if (joined === undefined || joined.local.finished) {
      const stored = await this.stored(wanted.key, options.maxAgeMs).catch((cause) =>
        this.#options.log("warn", "result store is away", { error: String(cause) })
      );
      if (stored) return stored;
      joined = isAlone ? this.#joinable(wanted, options) : undefined;
    }
    const shared = joined ?? this.#begin(wanted, options);
    shared.viewers++;
    const close = this.#closer(shared);
    try {
      const { id, cache: opened } = await shared.opening;
      const cache = joined && opened === "miss" ? "joined" : opened;
      return { id, cache, events: eventsOf(shared.local, cache), close };
    } catch (cause) {
      close();
      throw cause;
    }
  }

  /** Returns a stored result that is young enough. @throws {StoreAwayError} */
  async stored(key: string | undefined, maxAgeMs: number = Infinity): Promise<RunView | undefined> {
    if (key === undefined || maxAgeMs <= 0) return undefined;
    const stored = await this.#options.results.get(key);
    const isFound = stored !== undefined && Date.now() - stored.stored_at <= maxAgeMs;
    return isFound ? storedRun(stored) : undefined;
  }

  /**
   * Joins a run by its id, begun here or elsewhere.
   * @returns undefined if it is unknown or forgotten
   * @throws {StoreAwayError} if that cannot be known
   */
  async attach(id: string): Promise<RunView | undefined> {
    const viewer = crypto.randomUUID();
    return await this.#inLogs(async (log) => {
      const state = await log.attach(id, { viewer, viewerMs: VIEWER_MS });
      if (state === undefined) return undefined;
      const shared = this.#share({ viewer, name: undefined, previews: 0 });
      shared.viewers++;
      shared.opening = Promise.resolve({ id, log, cache: "joined" });
      this.#follow(shared, { id, log });
      return { id, cache: "joined", events: eventsOf(shared.local, "miss"), close: this.#closer(shared) };
    });
  }

  /** Returns the progress of a run, found as by `attach`. Its result is not read. */
  async brief(id: string): Promise<RunBrief["last"]> {
    return await this.#inLogs(async (log) => {
      const brief = await log.brief(id);
      if (brief === undefined) return undefined;
      const { state, last = { id: 0, event: { type: "queued" as const, position: 0 } } } = brief;
      // The run ended without a final event: nobody was left to make it.
      return state === "cancelled" && last.event.type !== "cancelled"
        ? { id: last.id + 1, event: { type: "cancelled" as const, reason: "unwatched" as const } }
        : last;
    });
  }

  /** Returns whether a result is stored. @throws {StoreAwayError} */
  async isStored(key: string): Promise<boolean> {
    return await this.#options.results.has(key);
  }

  /** Returns the result of a run, found as by `attach`. @returns undefined if it has none */
  async result(id: string): Promise<CompletedEvent | undefined> {
    return await this.#inLogs(async (log) => {
      const event = (await log.last(id))?.events.at(-1)?.event;
      return event?.type === "completed" ? event : undefined;
    });
  }

  /** Removes a viewer that is not this edge's own, as a job's when it is cancelled. */
  async leave(id: string, viewer: string): Promise<void> {
    for (const log of new Set([this.#runs, this.#own])) await this.#leave({ id, log, viewer });
  }

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
    for (const subscription of this.#subscriptions) subscription[Symbol.dispose]();
    for (const { local } of this.#open) local.stop();
  }

  /** Asks the shared log, then our own, which has the runs begun while the store was away. */
  async #inLogs<T extends object>(ask: (log: RunLog) => Promise<T | undefined>): Promise<T | undefined> {
    let away: unknown;
    for (const log of new Set([this.#runs, this.#own])) {
      const found = await ask(log).catch((cause) => void (away = cause));
      if (found) return found;
    }
    if (away !== undefined) throw away;
    return undefined;
  }

  /** Returns a run that is under way here and shows at least as many previews. */
  #joinable({ name, run }: WantedRun, options: OpenOptions): Shared | undefined {
    const shared = name === undefined ? undefined : this.#byName.get(name);
    if (shared === undefined || shared.previews < (run.previews ?? 0)) return undefined;
    if (shared.isOwn && this.#mustBeShared(options)) return undefined;
    return options.maxAgeMs === 0 && shared.local.finished ? undefined : shared;
  }

  /** Whether other edges have to find the run. */
  #mustBeShared({ detached, waitMs }: OpenOptions): boolean {
    return detached !== undefined || waitMs !== undefined && this.hasPeers;
  }

  #begin(wanted: WantedRun, options: OpenOptions): Shared {
    const { name, run } = wanted;
    const shared = this.#share({ viewer: crypto.randomUUID(), name, previews: run.previews ?? 0 });
    if (name !== undefined) this.#byName.set(name, shared);
    shared.opening = this.#openShared(shared, { wanted, options });
    return shared;
  }

  async #openShared(
    shared: Shared,
    { wanted, options }: { wanted: WantedRun; options: OpenOptions },
  ): Shared["opening"] {
    try {
      return await this.#openIn(this.#runs, { shared, wanted, options });
    } catch (cause) {
      const isRefusal = cause instanceof ApiError && !(cause instanceof StoreAwayError);
      if (isRefusal || this.#runs === this.#own || this.#mustBeShared(options)) throw cause;
      this.#options.log("warn", "runs are not shared: store is away", { error: String(cause) });
      shared.isOwn = true;
      return await this.#openIn(this.#own, { shared, wanted, options });
    }
  }

  async #openIn(
    log: RunLog,
    { shared, wanted, options }: { shared: Shared; wanted: WantedRun; options: OpenOptions },
  ): Shared["opening"] {
    const { name, run } = wanted;
    const { maxAgeMs, detached, keepMs = KEEP_MS, waitMs } = options;
    const { order, kept } = orderOf(wanted, options);
    const { id, started, state } = await log.open({
      name,
      id: crypto.randomUUID(),
      viewer: shared.viewer,
      viewerMs: VIEWER_MS,
      previews: run.previews ?? 0,
      finishedToo: maxAgeMs !== 0,
      keepMs,
      ...kept,
      waitMs,
    });
    if (detached !== undefined) await log.attach(id, detached);
    if (started) {
      const held = { id, attempt: 1 };
      try {
        shared.local.worker = await this.#dispatcher.dispatch({ log, held, order });
      } catch (cause) {
        // A worker may have the run. If none has, another edge takes it over when its lease ends.
        if (cause instanceof StoreAwayError) throw cause;
        // Viewers at other edges learn it from an event.
        await this.#dispatcher.fail({ log, held }, ApiError.from(cause)).catch(() => {});
        throw cause;
      }
    }
    this.#follow(shared, { id, log });
    return { id, log, cache: started ? "miss" : state === "completed" ? "hit" : "joined" };
  }

  #share(fields: Pick<Shared, "viewer" | "name" | "previews">): Shared {
    const local = new LocalRun(this.#options);
    const shared: Shared = { ...fields, local, viewers: 0, isOwn: false, opening: Promise.reject() };
    shared.opening.catch(() => {});
    this.#open.add(shared);
    return shared;
  }

  #follow(shared: Shared, { id, log }: { id: string; log: RunLog }): void {
    const group = this.#byId.get(id) ?? new Set();
    this.#byId.set(id, group.add(shared));
    shared.local.feed({ id, log });
  }

  #closer(shared: Shared): RunView["close"] {
    let closed = false;
    return (graceMs = 0) => {
      if (closed) return;
      closed = true;
      const leave = () => {
        if (--shared.viewers === 0) this.#end(shared);
      };
      // A client that leaves after an outage has mostly lost patience, and comes back.
      const keptMs = shared.local.recovering ? Math.max(graceMs, VIEWER_MS) : graceMs;
      if (keptMs === 0 || shared.local.finished) leave();
      else this.#clock.after(keptMs, leave);
    };
  }

  /** Ends a run's part at this edge, where nobody waits for it any more. */
  async #end(shared: Shared): Promise<void> {
    this.#open.delete(shared);
    if (shared.name !== undefined && this.#byName.get(shared.name) === shared) {
      this.#byName.delete(shared.name);
    }
    const { finished } = shared.local;
    shared.local.stop();
    const opened = await shared.opening.catch(() => undefined);
    if (opened === undefined) return;
    const group = this.#byId.get(opened.id);
    group?.delete(shared);
    if (group?.size === 0) this.#byId.delete(opened.id);
    if (finished) return;
    await this.#leave({ ...opened, viewer: shared.viewer, worker: shared.local.worker });
  }

  async #leave(
    { id, log, viewer, worker }: { id: string; log: RunLog; viewer: string; worker?: string | undefined },
  ): Promise<void> {
    try {
      if (!await log.leave(id, viewer)) return;
      const origin = worker ?? (await log.brief(id))?.worker;
      if (origin !== undefined) await this.#options.pool.cancel(origin, { id });
    } catch {
      // The worker learns of it when it renews its lease, or as nobody follows the run.
    }
  }

  #changed(id: string): void {
    for (const { local } of this.#byId.get(id) ?? []) local.notify();
  }

  #tickLater(): Disposable {
    return this.#clock.after(RENEW_MS, () => {
      this.#timer = this.#tickLater();
      this.#tick();
    });
  }

  /** Tells the log that we are here, and looks after runs whose makers are gone. */
  #tick(): void {
    this.#dispatcher.renew();
    const waiting = [...this.#byId].flatMap(([id, group]) =>
      [...group].filter(({ local }) => !local.finished).map(({ viewer }) => ({ id, viewer }))
    );
    // Each log knows its own runs and leaves the others.
    const logs = new Set([this.#own, this.#runs]);
    for (const log of logs) log.watch(waiting, VIEWER_MS).catch(() => {});
    this.#attendance.attend();
    const now = this.#clock.now();
    if (waiting.length === 0 && now - this.#sweptAt < IDLE_SWEEP_MS) return;
    this.#sweptAt = now;
    for (const log of logs) this.#dispatcher.sweep(log);
  }

  async #store({ key, modelDigest }: Pick<RunOrder, "key" | "modelDigest">, event: RunEvent): Promise<void> {
    if (event.type !== "completed" || key === null || event.receipt.model_digest !== modelDigest) return;
    const { type: _type, ...result } = event;
    try {
      await this.#options.results.set(key, { ...result, stored_at: Date.now() });
    } catch (cause) {
      this.#options.log("warn", "result was not stored", { error: String(cause) });
    }
  }
}
