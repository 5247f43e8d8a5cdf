// Sees jobs to their end, whichever edge began them: notes how they ended, gives back the count of pictures
// that were not made, and tells webhooks.
import type { Log } from "../../protocol/process/structured_log.ts";
import type { KeyLimits } from "../keys/key_limits.ts";
import { allPlaces } from "./count_pictures.ts";
import type { StateStore } from "../state/state_store.ts";
import { JOB_MS, type JobEnd, type JobRecord } from "./job_record.ts";
import { AGENDA, type Jobs } from "./jobs.ts";
import type { Webhooks } from "./webhooks.ts";

export interface JobKeeperOptions {
  jobs: Jobs;
  state: StateStore;
  limits: Pick<KeyLimits, "holdPictures" | "closePictures" | "repair">;
  /** Undefined if jobs have no webhooks. */
  webhooks: Webhooks | undefined;
  log: Log;
  /** Milliseconds between two looks at the jobs. @default 1000 */
  intervalMs?: number;
  /**
   * Delays between attempts to tell a webhook, in milliseconds, one for each retry.
   * @default 5 s, 30 s, 2 min, 10 min, 1 h
   */
  retryDelaysMs?: readonly number[];
  /** Milliseconds since 1970. @default Date.now */
  now?: () => number;
}

/** Milliseconds after which another edge takes over a job that one edge works on. */
const LEASE_MS = 5000;
/** The same for a job whose webhook is being told: longer than a receiver may take. */
const TELLING_MS = 15_000;
/** A job's pictures stay counted for longer than it may run. */
const HELD_MS = 2 * JOB_MS;
/** Stands in place of a number of attempts. */
const TOLD = "told";
const AT_ONCE = 20;
/** Largest number of webhooks told at a time for one key, so that receivers that hang delay no other key. */
const TOLD_PER_TENANT = 4;
/** Milliseconds to wait after a failure, such as the store's. */
const AGAIN_MS = 5000;
/** Without any job the keeper skips most of its looks: it takes one in this many. */
const IDLE_LOOKS = 5;

export class JobKeeper implements Disposable {
  readonly #options: Required<JobKeeperOptions>;
  readonly #timer: ReturnType<typeof setInterval>;
  /** Webhooks being told, by tenant. */
  readonly #telling = new Map<string, number>();
  #looks = 0;
  #busy = false;
  #found = true;

  constructor(options: JobKeeperOptions) {
    this.#options = {
      intervalMs: 1000,
      retryDelaysMs: [5000, 30_000, 120_000, 600_000, 3_600_000],
      now: Date.now,
      ...options,
    };
    this.#timer = setInterval(() => this.#look(), this.#options.intervalMs);
    Deno.unrefTimer(this.#timer as unknown as number);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    const isTurn = this.#found || this.#looks++ % IDLE_LOOKS === 0;
    if (this.#busy || !isTurn) return;
    this.#busy = true;
    try {
      const ids = await this.#options.state.claimDue(AGENDA, { leaseMs: LEASE_MS, limit: AT_ONCE });
      this.#found = ids.length > 0;
      await Promise.all(ids.map((id) => this.#keep(id).catch((cause) => this.#keepLater(id, cause))));
      await this.#options.limits.repair();
    } catch (cause) {
      this.#options.log("warn", "jobs were not looked after", { error: String(cause) });
    } finally {
      this.#busy = false;
    }
  }

  async #keepLater(id: string, cause: unknown): Promise<void> {
    this.#options.log("warn", "job was not looked after", { job: id, error: String(cause) });
    await this.#options.state.schedule(AGENDA, id, AGAIN_MS);
  }

  /**
   * Each step may be repeated. The job stays on the agenda until all of them are done, so
   * that another edge goes on.
   */
  async #keep(id: string): Promise<void> {
    const { jobs, state, limits, now, intervalMs } = this.#options;
    const job = await jobs.read(id);
    if (job === undefined) return await state.unschedule(AGENDA, id);
    const { end } = await jobs.stateOf(job);
    if (end === null) {
      if (job.quota !== null) await limits.holdPictures(job.quota, HELD_MS);
      // The longer it takes, the less a moment matters.
      const age = Math.max(0, now() - job.created_at);
      return await state.schedule(AGENDA, id, Math.min(10_000, intervalMs + age / 20));
    }
    if (job.quota !== null) {
      await limits.closePictures(job.quota, end.status === "completed" ? allPlaces(job.parts.length) : []);
    }
    await this.#tell(job, end);
  }

  async #tell(job: JobRecord, end: JobEnd): Promise<void> {
    const { state, webhooks, log } = this.#options;
    if (job.webhook === null) return await state.unschedule(AGENDA, job.id);
    if (webhooks === undefined) {
      log("error", "webhook was not told: this edge has no SPECTRUM_WEBHOOK_SECRET", { job: job.id });
      return await state.unschedule(AGENDA, job.id);
    }
    const telling = this.#telling.get(job.tenant) ?? 0;
    if (telling >= TOLD_PER_TENANT) return await state.schedule(AGENDA, job.id, AGAIN_MS);
    this.#telling.set(job.tenant, telling + 1);
    // Nobody waits for a receiver: the lease, which is longer than its deadline, keeps
    // other edges away meanwhile.
    this.#tellNow(job, { end, webhooks }).catch((cause) => this.#keepLater(job.id, cause)).catch(() => {})
      .finally(() => {
        const left = this.#telling.get(job.tenant)! - 1;
        if (left > 0) this.#telling.set(job.tenant, left);
        else this.#telling.delete(job.tenant);
      });
  }

  async #tellNow(job: JobRecord, { end, webhooks }: { end: JobEnd; webhooks: Webhooks }): Promise<void> {
    const { state, retryDelaysMs, log } = this.#options;
    // An edge that was stopped for a while may be at a job that another one has taken over.
    const [lock, note] = [`telling:${job.id}`, `webhook:${job.id}`];
    if (!await state.set(lock, "1", { ttlMs: TELLING_MS, onlyIfAbsent: true })) return;
    const noted = await state.get(note) ?? "0";
    if (noted === TOLD) return await state.unschedule(AGENDA, job.id);
    const attempts = Number(noted);
    await state.schedule(AGENDA, job.id, TELLING_MS);
    const isTold = await webhooks.tell(job, end);
    const delay = retryDelaysMs[attempts];
    const isOver = isTold || delay === undefined;
    if (!isTold && isOver) log("error", "webhook was not told", { job: job.id, attempts: attempts + 1 });
    await state.set(note, isOver ? TOLD : String(attempts + 1), { ttlMs: JOB_MS, keep: true });
    await state.delete(lock);
    if (isOver) await state.unschedule(AGENDA, job.id);
    else await state.schedule(AGENDA, job.id, delay);
  }
}
