// Has runs made: hands them to workers, writes the log for workers that do not, and takes over runs whose
// makers are gone.
import { ApiError } from "../../protocol/wire/api_error.ts";
import { goesOnElsewhere, isFinal, type NumberedEvent } from "../../protocol/wire/run_event.ts";
import { idsBefore } from "../../protocol/store/run_log/attempt_ids.ts";
import type { HeldRun, RunLog, TakenRun } from "../../protocol/store/run_log/run_log.ts";
import type { OpenRunRequest } from "../../protocol/wire/run_request.ts";
import { StoreAwayError } from "../../protocol/store/store_away_error.ts";
import type { Log } from "../../protocol/process/structured_log.ts";
import { splitFiles } from "./order_images.ts";
import type { WorkerPool } from "./worker_pool.ts";
import { workerLost } from "./run_failure.ts";

/** Everything that is needed to make a run, also a second time. */
export interface RunOrder {
  run: OpenRunRequest;
  /** Key of the result in the store. Null if the result is not stored. */
  key: string | null;
  /** Digest of the weights that the run must be made with. */
  modelDigest: string;
}

export interface RunDispatcherOptions {
  pool: Pick<WorkerPool, "submit" | "cancel" | "client">;
  log: Log;
  /** Stores results of workers that write no log of their own. */
  store: (order: Pick<RunOrder, "key" | "modelDigest">, event: NumberedEvent["event"]) => Promise<void>;
  /** Delays before a worker's broken event stream is picked up, in milliseconds. @default [100, 500, 1500] */
  reconnectDelaysMs?: readonly number[];
  /** Aborts when this process is about to end. Then no run is begun. @default never */
  stopping?: AbortSignal;
  /** Attempts to have a run made, refusals included, before it fails. @default 8 */
  maxAttempts?: number;
}

export interface Dispatch {
  log: RunLog;
  held: HeldRun;
  order: RunOrder;
  /** Id of the newest event in a log of this process. In a shared log the attempt decides. @default 0 */
  after?: number | undefined;
  /** A worker that is asked last. */
  avoid?: string | undefined;
}

interface Pumped extends Pick<Dispatch, "log" | "held" | "after"> {
  order: Pick<RunOrder, "key" | "modelDigest">;
}

/**
 * Largest number of new beginnings of a run that lost its worker after some steps. Workers that die one after
 * the other, as in a deployment, lose no run; a run that kills its workers ends.
 */
const MAX_RESTARTS = 3;
/** Milliseconds after which a run that no worker had room for is offered again. */
const FULL_MS = 2000;
/** Number of looks after an outage that also take over runs without viewers. */
const LENIENT_SWEEPS = 3;

export class RunDispatcher {
  readonly #options: Required<RunDispatcherOptions>;
  /** Leases that this edge holds: of runs on their way to a worker, and of runs that it writes. */
  readonly #held = new Map<HeldRun, RunLog>();
  /** Looks left in which a run without viewers is taken over too. */
  #lenientSweeps = 0;

  constructor(options: RunDispatcherOptions) {
    this.#options = {
      reconnectDelaysMs: [100, 500, 1500],
      maxAttempts: 8,
      stopping: new AbortController().signal,
      ...options,
    };
  }

  /**
   * Hands a run to a worker. It lives on by itself from then on.
   * @returns the worker's origin; undefined: another edge has the run made, or nobody wants it any more
   * @throws {ApiError} as workers refuse it; the run is still open then
   * @throws {StoreAwayError} if a worker may have the run, and no other one can be given the next attempt
   */
  async dispatch({ log, held, order, after, avoid }: Dispatch): Promise<string | undefined> {
    this.#held.set(held, log);
    let pumped = false;
    try {
      const { key, modelDigest, run } = order;
      const store = key === null ? undefined : { key, model_digest: modelDigest };
      const shared = {
        ...held,
        after: startOf({ log, held, after }),
        log: log.shared,
        ...store && { store },
      };
      const submitted = await this.#options.pool.submit({ ...run, shared }, {
        modelDigest,
        avoid,
        // While the store is away no attempt has a number: two workers with one would both be believed later.
        advance: async () => {
          const next = await log.advance(held);
          if (next !== undefined) held.attempt = next;
          return next;
        },
      });
      if (submitted === undefined) return undefined;
      const { worker, accepted } = submitted;
      // While the store is away nobody can be asked; the worker's own log serves who is here.
      const standing = await log.assign(held, worker).catch(() => "held" as const);
      if (standing === "cancelled" || standing === "lost") {
        await this.#options.pool.cancel(worker, held).catch(() => {});
      }
      if (!accepted.shared) {
        pumped = true;
        // Not the whole order: its image may take megabytes.
        const begun = { log, held, order: { key, modelDigest }, after: startOf({ log, held, after }) };
        this.#pump(begun, worker).catch((cause) =>
          this.#options.log("error", "run was not written", { run: held.id, error: String(cause) })
        ).finally(() => this.#held.delete(held));
      }
      return worker;
    } finally {
      if (!pumped) this.#held.delete(held);
    }
  }

  /** Writes to the log that a run has failed, for all its viewers. */
  async fail({ log, held, after }: Omit<Dispatch, "order">, error: ApiError): Promise<void> {
    const event = { type: "failed" as const, status: error.status, ...error.toBody() };
    await log.append(held, [{ id: startOf({ log, held, after }) + 1, event }]);
  }

  /** Keeps our leases. Never rejects. */
  async renew(): Promise<void> {
    const byLog = Map.groupBy(this.#held, ([, log]) => log);
    await Promise.all(
      [...byLog].map(([log, held]) => log.renew(held.map(([run]) => run)).catch(() => {})),
    );
  }

  /** Takes over runs whose makers are gone. Never rejects. */
  async sweep(log: RunLog): Promise<void> {
    // This process is to end. Edges that share the log continue with it.
    if (log.shared && this.#options.stopping.aborted) return;
    try {
      const orphans = await log.orphans();
      // While the store was away no viewer could say that it waits. The worker ends runs that nobody wants.
      const unwatched = this.#lenientSweeps > 0;
      this.#lenientSweeps = Math.max(0, this.#lenientSweeps - 1);
      await Promise.all(orphans.map(async (id) => {
        if (await this.#isMade(log, id)) return;
        const taken = await log.takeOver(id, { unwatched });
        if (taken !== undefined) await this.#resume(log, taken);
      }));
    } catch (cause) {
      if (cause instanceof StoreAwayError) this.#lenientSweeps = LENIENT_SWEEPS;
      this.#options.log("warn", "runs were not looked after", { error: String(cause) });
    }
  }

  /** A lease also ends while the store is away: its holder, if it lives, renews it in a moment. */
  async #isMade(log: RunLog, id: string): Promise<boolean> {
    const worker = log.shared ? (await log.brief(id))?.worker : undefined;
    return worker !== undefined && await this.#options.pool.client(worker)?.isMaking(id) === true;
  }

  async #resume(log: RunLog, taken: TakenRun): Promise<void> {
    const { id, attempt, stepped, abandoned, restarts, takeovers, worker: avoid, request, image } = taken;
    const held = { id, attempt };
    let after = taken.lastId;
    // No other edge knows of this run.
    if (this.#options.stopping.aborted) return await this.fail({ log, held, after }, workerLost());
    const order: RunOrder | undefined = request === "" ? undefined : JSON.parse(request);
    if (order !== undefined && image !== undefined) Object.assign(order.run, splitFiles(image));
    if (
      order === undefined || stepped && restarts >= MAX_RESTARTS || takeovers >= this.#options.maxAttempts
    ) {
      const facts = { attempt, stepped, restarts, takeovers, lost: avoid };
      this.#options.log("error", "run is given up", { run: id, ...facts });
      return await this.fail({ log, held, after }, workerLost());
    }
    if (stepped || abandoned) {
      const id = log.shared ? startOf({ log, held }) : ++after;
      await log.append(held, [{ id, event: { type: "restarted", attempt } }]);
    }
    this.#options.log("warn", "run goes on elsewhere", { run: id, attempt, stepped, lost: avoid });
    try {
      await this.dispatch({ log, held, order, after, avoid });
    } catch (cause) {
      const error = ApiError.from(cause);
      // The run waits until there is room, as long as anybody waits for it.
      if (error.status === 429) await log.postpone(held, FULL_MS);
      // A worker may be back in a moment.
      else if (error.status >= 500) await log.release(held);
      else await this.fail({ log, held, after }, error);
    }
  }

  /** Copies a worker's events of a run to the log, until the run or the worker ends. */
  async #pump({ log, held, order, after = 0 }: Pumped, origin: string): Promise<void> {
    const { pool, reconnectDelaysMs, store } = this.#options;
    const { signal } = new AbortController();
    let last = after;
    let isWritten = true;
    pumping: for (let failures = 0;;) {
      try {
        for await (const numbered of pool.client(origin)!.events(held.id, { after: last, signal })) {
          const { event } = numbered;
          if (goesOnElsewhere(event)) break pumping;
          if (event.type === "completed") await store(order, event);
          isWritten = false;
          const standing = await log.append(held, [numbered]);
          isWritten = true;
          if (standing === "lost" || standing === "unknown") return;
          if (isFinal(event)) return;
          last = numbered.id;
          failures = 0;
        }
      } catch (cause) {
        // The worker has restarted and does not know the run.
        if (cause instanceof ApiError && cause.status === 404) break;
      }
      if (failures === reconnectDelaysMs.length) break;
      await new Promise((resolve) => setTimeout(resolve, reconnectDelaysMs[failures++]));
    }
    // Viewers may have seen an event that was not written: then the lease ends by itself.
    if (isWritten) await log.release(held);
    await this.sweep(log);
  }
}

/** Returns the id before those of the events of the attempt at hand. */
function startOf({ log, held, after = 0 }: Pick<Dispatch, "log" | "held" | "after">): number {
  return log.shared ? idsBefore(held.attempt) : after;
}
