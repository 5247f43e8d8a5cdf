// The log of runs that all edges share: the maker of each run, its viewers, its events so far.
// Two implementations: in this process, and in Redis, where workers write and edges read.
import type { BriefEvent, NumberedEvent, RunEvent } from "../../wire/run_event.ts";

/** A run that a viewer wants, under a name that equal requests share. */
export interface OpenRun {
  /** Undefined if nobody else can want this run. */
  name: string | undefined;
  /** Id of the run if it has to be begun. */
  id: string;
  /** The viewer. A run without viewers is cancelled. */
  viewer: string;
  viewerMs: number;
  /** Number of previews that the viewer wants. A run with fewer previews is not joined. */
  previews: number;
  /** Whether a finished run of that name will do. */
  finishedToo: boolean;
  /** Milliseconds for which its events can be read after the end. */
  keepMs: number;
  /** The order, as JSON without its image, from which another edge can make the run again; "" for none. */
  request: string;
  /** Milliseconds to wait for a store that is away. @default 0 */
  waitMs?: number | undefined;
  /** The order's image, which is kept once for all runs that start from it. @default none */
  image?: OrderImage | undefined;
}

export interface OrderImage {
  /** Names its bytes: SHA-256, hex. */
  name: string;
  base64: string;
}

export interface OpenedRun {
  id: string;
  /** Whether the run was begun now. The caller then holds its lease as attempt 1 and has it made. */
  started: boolean;
  state: RunState;
}

/** "open" until its final event. */
export type RunState = "open" | "completed" | "failed" | "cancelled";

export interface RunPage {
  state: RunState;
  /** Origin of the worker that makes it. Undefined until a worker has accepted the run. */
  worker: string | undefined;
  events: NumberedEvent[];
}

/** Progress of a run. */
export interface RunBrief extends Omit<RunPage, "events"> {
  /** The newest event without its bytes. Undefined before the first event. */
  last: { id: number; event: BriefEvent } | undefined;
}

/** A run, and the attempt of the one that holds its lease. */
export interface HeldRun {
  id: string;
  attempt: number;
}

/**
 * "cancelled": nobody wants the run any more. "lost": this attempt has been given up. "unknown": the store
 * does not know the run, as after a restart of Redis without its data.
 */
export interface Standing {
  state: "held" | "cancelled" | "lost" | "unknown";
  viewers: number;
}

export interface TakenRun extends HeldRun {
  /** Id of the last event of the attempts before. */
  lastId: number;
  /** Whether the attempt before has delivered steps. Viewers are then told of the new attempt. */
  stepped: boolean;
  /**
   * Whether the lease ended by itself, neither given up nor postponed. Viewers may then have seen events
   * that the log lacks: while the store is away they follow the worker.
   */
  abandoned: boolean;
  /** Attempts that had delivered steps, this one not included. */
  restarts: number;
  /** How often the run was taken over, this time included, without those that were postponed. */
  takeovers: number;
  /** Worker of the attempt before. */
  worker: string | undefined;
  /** The order, as it was opened with. "" if the run cannot be made again. */
  request: string;
  /** The order's image, in base64. */
  image: string | undefined;
}

export interface TakeOverOptions {
  /**
   * Whether a run without viewers is taken over too, as they may not have had the time to register.
   * @default false
   */
  unwatched?: boolean;
}

/** All methods reject while the store is away. */
export interface RunLog {
  /** Whether the log outlives this process, so that workers can write it themselves. */
  readonly shared: boolean;
  /** Joins the run of that name or begins it. This is atomic among all edges. */
  open(run: OpenRun): Promise<OpenedRun>;
  /** Waits for a run that is known by its id. @returns undefined if it is unknown or forgotten */
  attach(id: string, viewer: { viewer: string; viewerMs: number }): Promise<RunState | undefined>;
  /**
   * Returns some events after id `after`, in order; none if there are none yet.
   * @returns undefined if the run is unknown
   */
  read(id: string, after: number): Promise<RunPage | undefined>;
  /**
   * Returns the progress of a run. The cost does not depend on the size of its result.
   * @returns undefined if the run is unknown
   */
  brief(id: string): Promise<RunBrief | undefined>;
  /** Returns the newest event alone. */
  last(id: string): Promise<RunPage | undefined>;
  /**
   * Appends events. Known ids are left out, so that an append may be repeated. A final event ends the run.
   */
  append(run: HeldRun, events: readonly NumberedEvent[]): Promise<Standing["state"]>;
  /**
   * Begins the next attempt of the same holder. From now on the log refuses events of earlier attempts.
   * @returns its number; undefined: the run is somebody else's, or nobody wants it
   */
  advance(run: HeldRun): Promise<number | undefined>;
  /** Notes which worker makes the run. */
  assign(run: HeldRun, worker: string): Promise<Standing["state"]>;
  /** Renews the leases for `LEASE_MS`. Returns the standing of each run, in the order of `runs`. */
  renew(runs: readonly HeldRun[]): Promise<Standing[]>;
  /** Gives a lease up, so that another edge may take the run over at once. */
  release(run: HeldRun): Promise<void>;
  /**
   * Gives up the lease of an attempt that no worker had room for. Another edge may take the run over after
   * `ms`, and this takeover does not count.
   */
  postpone(run: HeldRun, ms: number): Promise<void>;
  /**
   * Notes that an edge runs that clients can reach.
   * @returns the number of such edges, this one included
   */
  attend(edge: string): Promise<number>;
  /** Returns the runs whose lease has ended. */
  orphans(): Promise<string[]>;
  /**
   * Takes an orphan over; only one caller can. An orphan without viewers is cancelled instead.
   * @returns undefined if it is none any more
   */
  takeOver(id: string, options?: TakeOverOptions): Promise<TakenRun | undefined>;
  /** Keeps viewers registered for `viewerMs`. */
  watch(viewers: readonly { id: string; viewer: string }[], viewerMs: number): Promise<void>;
  /**
   * Removes a viewer.
   * @returns whether this was the last viewer of an unfinished run, which is then to be cancelled
   */
  leave(id: string, viewer: string): Promise<boolean>;
  /** Calls `listener` with ids of runs that have changed. Some changes may go by unnoticed. */
  changes(listener: (id: string) => void): Disposable;
  /** Milliseconds that a reader waits for news before it looks by itself. */
  readonly pollMs: number;
}

/** Milliseconds after which a silent holder of a lease counts as dead. */
export const LEASE_MS = 4500;
/**
 * Largest total of the images that orders keep, in characters of base64. Runs with an image beyond it are not
 * made again where their worker is lost.
 */
export const MAX_IMAGES = 64 * 2 ** 20;
/** Milliseconds after which a silent edge counts as stopped. */
export const ATTENDANCE_MS = 60_000;
/** Interval at which holders renew their leases. */
export const RENEW_MS = 1500;
/**
 * The log of an unfinished run that nobody has touched for so long is forgotten; the run
 * itself ends by its lease.
 */
export const FORGET_MS = 600_000;

/** Returns whether `event` shows that the device was at work. */
export function isStep(event: RunEvent): boolean {
  return event.type === "step" || event.type === "preview";
}

/** Returns the state in which `event` ends a run. Undefined if it ends none. */
export function finalState(event: RunEvent): Exclude<RunState, "open"> | undefined {
  return event.type === "completed" || event.type === "failed" || event.type === "cancelled"
    ? event.type
    : undefined;
}
