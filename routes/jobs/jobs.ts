// Jobs: runs that clients ask about instead of waiting for them. A job may have any kind of result;
// presenters make it an image or a video.
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { Receipt } from "../../protocol/wire/receipt.ts";
import { type BriefEvent, type CompletedEvent, isFinal, toBrief } from "../../protocol/wire/run_event.ts";
import { StoreAwayError } from "../../protocol/store/store_away_error.ts";
import { StoreFullError } from "../../protocol/store/store_full_error.ts";
import { runFailure } from "../runs/run_failure.ts";
import type { RunSource } from "../runs/run_source.ts";
import type { OpenOptions, WantedRun } from "../runs/wanted_run.ts";
import type { RunView } from "../runs/run_view.ts";
import type { PageOptions, StateStore } from "../state/state_store.ts";
import { JOB_MS, type JobEnd, type JobRecord, type JobStatus } from "./job_record.ts";

export interface JobsOptions {
  source: RunSource;
  state: StateStore;
  /** Milliseconds since 1970. @default Date.now */
  now?: () => number;
}

/** The options with which `RunSource.open` opens the runs of a detached job. */
export type JobOpening = Required<Pick<OpenOptions, "detached" | "keepMs">>;

/** Progress of a job. Its results are separate, as they may take megabytes. */
export interface JobState {
  status: JobStatus;
  /** Share of the steps of all its parts, 0..100. */
  progress: number;
  /** Results of a completed job, in order. */
  receipts: Receipt[];
  end: JobEnd | null;
}

/** Milliseconds after the end for which a result can be read that the store does not keep. */
export const RESULT_MS = 3_600_000;
/** Largest number of jobs of one key and kind within JOB_MS, so that other keys have room. */
const MAX_JOBS = 10_000;
/** Milliseconds for which a stream can be continued. */
const STREAM_MS = 600_000;
/**
 * A stream begins once other edges can continue it, if the store comes back within this;
 * most outages are shorter.
 */
export const STREAM_WAIT_MS = 10_000;
/** Records that the agenda names, to be looked after until their end. */
export const AGENDA = "jobs";

export class Jobs {
  readonly #source: RunSource;
  readonly #state: StateStore;
  readonly #now: () => number;

  constructor({ source, state, now = Date.now }: JobsOptions) {
    this.#source = source;
    this.#state = state;
    this.#now = now;
  }

  /** Options that open the runs of a detached job. */
  opening(id: string): JobOpening {
    const viewer = `job:${id}:${crypto.randomUUID()}`;
    return { detached: { viewer, viewerMs: JOB_MS }, keepMs: RESULT_MS };
  }

  /**
   * Records a job whose runs have been opened. From now on it can be found at any edge; a stream that has
   * waited for the store in vain, at this one, if it is the only one.
   * @throws {StoreAwayError} for a job that others have to find. Nobody waits for its runs then.
   */
  async add(
    fields: Omit<JobRecord, "created_at" | "parts" | "end">,
    { views, wanted }: { views: readonly RunView[]; wanted: readonly WantedRun[] },
  ): Promise<JobRecord> {
    const parts = views.map(({ id = null }, index) => ({ run: id, key: wanted[index]!.key ?? null }));
    const record: JobRecord = { ...fields, created_at: this.#now(), parts, end: null };
    const text = JSON.stringify(record);
    if (!record.detached) {
      const shared = this.#source.hasPeers;
      await this.#state.set(keyOf(record), text, { ttlMs: STREAM_MS, waitMs: STREAM_WAIT_MS, shared });
      return record;
    }
    try {
      const entered = await this.#state.enter({ ...entryOf(record), ttlMs: JOB_MS, max: MAX_JOBS }, text);
      if (entered === "full") throw tooMany();
      if (entered === "entered") return record;
      // A repetition that came at the same time: mostly it has found the first one's runs.
      await this.#abandon(record);
      return await this.read(record.id) ?? record;
    } catch (cause) {
      // A store whose answer was lost may have recorded the job.
      const isRecorded = cause instanceof StoreAwayError && !(cause instanceof StoreFullError);
      if (!isRecorded) await this.#abandon(record);
      throw cause;
    }
  }

  /**
   * Notes the end of a detached job. The first end that is noted stays for good.
   * @returns the job as it is from now on; undefined: it was forgotten meanwhile
   */
  async end(record: JobRecord, end: JobEnd): Promise<JobRecord | undefined> {
    if (record.end !== null) return record;
    const change = { from: JSON.stringify(record), to: JSON.stringify({ ...record, end }) };
    const text = await this.#state.swap(keyOf(record), change);
    return text === undefined ? undefined : JSON.parse(text);
  }

  /**
   * Returns a job. Undefined if it is unknown or past its time.
   * @throws {StoreAwayError} if that cannot be known
   */
  async read(id: string): Promise<JobRecord | undefined> {
    const text = await this.#state.get(keyOf({ id }));
    return text === undefined ? undefined : JSON.parse(text);
  }

  /**
   * Reads a job of `tenant`.
   * @throws {ApiError} 404 for what `tenant` does not have, 503 while the store is away
   */
  async find(id: string, tenant: string): Promise<JobRecord> {
    const record = /^job_[0-9a-f]{32}$/.test(id) ? await this.read(id) : undefined;
    if (record?.tenant === tenant) return record;
    throw new ApiError(404, "There is no such job", { code: "job_not_found" });
  }

  /** Returns detached jobs of one kind, the latest first. The price is that of the jobs that are returned. */
  async list(
    { tenant, kind }: Pick<JobRecord, "tenant" | "kind">,
    page: Pick<PageOptions, "limit" | "after" | "ascending">,
  ): Promise<JobRecord[]> {
    const options = { ...page, prefix: PREFIX, ttlMs: JOB_MS };
    const texts = await this.#state.page(listOf({ tenant, kind }), options);
    return texts.map((text) => JSON.parse(text));
  }

  async forget(record: JobRecord): Promise<void> {
    await this.#state.remove(entryOf(record));
  }

  /**
   * Returns the progress of a job, at the same price whatever its results weigh. An end is noted before
   * anybody is told of it, so that nobody is told of another one later.
   * @throws {StoreAwayError}
   */
  async stateOf(record: JobRecord): Promise<JobState> {
    if (record.end !== null) return stateAt(record.end);
    const last = await this.#briefs(record);
    const failed = last.find(({ event }) => event.type === "failed" || event.type === "cancelled")?.event;
    const receipts = last.flatMap(({ event }) => event.type === "completed" ? [event.receipt] : []);
    if (failed?.type === "failed" || failed?.type === "cancelled") {
      const { error } = runFailure(failed).toBody();
      return await this.#ended(record, { status: "failed", at: this.#now(), error });
    }
    if (receipts.length === last.length) {
      return await this.#ended(record, { status: "completed", at: this.#now(), receipts, error: null });
    }
    const progress = Math.floor(last.reduce((sum, { event }) => sum + progressOf(event), 0) / last.length);
    const waiting = last.every(({ event }) => event.type === "queued");
    return { status: waiting ? "queued" : "in_progress", progress, receipts: [], end: null };
  }

  /**
   * Returns the results of a completed job, in order.
   * @throws {ApiError} 410 for those that are no longer kept, 503 while the store is away
   */
  async resultsOf({ parts }: JobRecord): Promise<CompletedEvent[]> {
    return await Promise.all(parts.map(async ({ run, key }) => {
      const result = (run === null ? undefined : await this.#source.result(run)) ?? await this.#stored(key);
      if (result === undefined) throw expired();
      return result;
    }));
  }

  /** Returns whether nothing follows the event `after`, the last one that a client has seen. */
  async endsAt(record: JobRecord, after: readonly number[]): Promise<boolean> {
    const last = await this.#briefs(record);
    const isOver = last.every(({ event }) => isFinal(event)) || record.end !== null;
    return isOver && last.every(({ id }, index) => (after[index] ?? 0) >= id && id > 0);
  }

  /** Returns a job's runs, to be followed. The caller closes them. */
  async views(record: JobRecord): Promise<Pick<RunView, "events" | "close">[]> {
    return await Promise.all(record.parts.map(async ({ run, key }) => {
      const view = run === null ? undefined : await this.#source.attach(run);
      return view ?? await this.#source.stored(key ?? undefined) ?? gone(record);
    }));
  }

  /**
   * Cancels a job. Its runs end within a step, unless somebody else waits for them.
   * @throws {ApiError} 409 for a stream, which ends with its connection
   */
  async cancel(record: JobRecord): Promise<JobRecord> {
    if (!record.detached) {
      throw new ApiError(409, "This job is a stream: it ends with its connection", {
        code: "job_not_detached",
      });
    }
    const { end } = await this.stateOf(record);
    const ended = await this.end(record, end ?? { status: "cancelled", at: this.#now(), error: null });
    if (ended?.end?.status === "cancelled") await this.#abandon(ended);
    return ended ?? record;
  }

  /** Leaves a job's runs. They end unless somebody else waits for them. */
  async #abandon({ parts, viewer }: JobRecord): Promise<void> {
    for (const { run } of parts) {
      if (run !== null && viewer !== null) await this.#source.leave(run, viewer);
    }
  }

  /** Returns the progress of each part. */
  async #briefs({ parts, end }: JobRecord): Promise<Numbered[]> {
    return await Promise.all(parts.map(async ({ run, key }, index) => {
      const last = run === null ? undefined : await this.#source.brief(run);
      if (last !== undefined) return last;
      const receipt = end?.receipts?.[index];
      if (receipt === undefined) {
        const stored = await this.#stored(key);
        if (stored !== undefined) return { id: 1, event: toBrief(stored) };
      } else if (key !== null && await this.#source.isStored(key)) {
        return { id: 1, event: { type: "completed", receipt } };
      }
      return { id: 0, event: { type: "failed", status: 410, error: expired().toBody().error } };
    }));
  }

  async #stored(key: string | null): Promise<CompletedEvent | undefined> {
    const stored = await this.#source.stored(key ?? undefined);
    if (stored === undefined) return undefined;
    for await (const { event } of stored.events(new AbortController().signal)) {
      if (event.type === "completed") return event;
    }
  }

  async #ended(record: JobRecord, end: JobEnd): Promise<JobState> {
    // A stream ends with its connection: nothing is told of it later.
    if (!record.detached) return stateAt(end);
    try {
      return stateAt((await this.end(record, end))?.end ?? end);
    } catch (cause) {
      // A store that takes no writes now takes no other end either.
      if (cause instanceof StoreFullError) return stateAt(end);
      throw cause;
    }
  }
}

/** The newest event of a part. A result is reduced to the facts that jobs need. */
interface Numbered {
  id: number;
  event: Exclude<BriefEvent, { type: "completed" }> | { type: "completed"; receipt: Receipt };
}

const PREFIX = "job:";

function keyOf({ id }: Pick<JobRecord, "id">): string {
  return PREFIX + id;
}

function entryOf(record: JobRecord) {
  return { key: keyOf(record), member: record.id, agenda: AGENDA, list: listOf(record) };
}

function stateAt(end: JobEnd): JobState {
  const { status, receipts = [] } = end;
  return { status, progress: status === "completed" ? 100 : 0, receipts, end };
}

function listOf({ tenant, kind }: Pick<JobRecord, "tenant" | "kind">): string {
  return `jobs:${tenant}:${kind}`;
}

function progressOf(event: Numbered["event"]): number {
  if (event.type === "completed") return 100;
  return event.type === "step" ? 100 * (event.step_index + 1) / event.steps : 0;
}

function gone({ end }: JobRecord): Pick<RunView, "events" | "close"> {
  return {
    // deno-lint-ignore require-yield
    async *events() {
      await Promise.resolve();
      throw end?.status === "cancelled" ? runFailure({ type: "cancelled", reason: "requested" }) : expired();
    },
    close() {},
  };
}

function tooMany(): ApiError {
  return new ApiError(429, `This API key may begin ${MAX_JOBS} jobs of a kind a day`, {
    code: "too_many_jobs",
    retryAfter: 600,
  });
}

function expired(): ApiError {
  return new ApiError(410, "The results of this job are no longer kept", { code: "results_expired" });
}
