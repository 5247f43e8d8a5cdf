// Small records that all edges must agree on: jobs, tickets, earlier requests. It has two implementations: in
// this process, and in Redis.

export interface SetOptions {
  ttlMs: number;
  /** @default false */
  onlyIfAbsent?: boolean;
  /** Milliseconds to wait for a store that is away. @default 0 */
  waitMs?: number;
  /** Whether other edges must find the value. It is then kept in the store or not at all. @default false */
  shared?: boolean;
  /** Whether a full store may not evict the value, as it is promised to a client. @default false */
  keep?: boolean;
}

/** A value that has work due, and that its owner finds in a list. */
export interface Entry {
  key: string;
  member: string;
  agenda: string;
  list: string;
  ttlMs: number;
  /** Largest number of values in the list, so that one owner does not fill the store. @default no limit */
  max?: number;
}

export interface PageOptions {
  /** Prefix of the values' keys. A member follows it. */
  prefix: string;
  limit: number;
  /** The last member of the page before. @default from the beginning */
  after?: string | undefined;
  /** Whether the oldest come first. @default false */
  ascending?: boolean;
  /** Milliseconds after which members have no value any more. */
  ttlMs: number;
}

/** "known": there is a value already. "full": the list has its largest length. Neither changes anything. */
export type Entered = "entered" | "known" | "full";

/** Largest length of a list, which a client's equal requests would fill without an end. */
export const MAX_LIST = 1000;

/** Times are by the store's clock. All methods reject with a StoreAwayError while the store is away. */
export interface StateStore {
  get(key: string): Promise<string | undefined>;
  /** Sets a value. @returns false if it was not set, as there was a value */
  set(key: string, value: string, options: SetOptions): Promise<boolean>;
  /** Replaces `from`, and nothing else. @returns what is there from now on; undefined: nothing */
  swap(key: string, change: { from: string; to: string }): Promise<string | undefined>;
  delete(key: string): Promise<void>;
  /** Keeps a value, schedules it at once and puts it into its list, in one step. */
  enter(entry: Entry, value: string): Promise<Entered>;
  /** Removes a value, its schedule and its place in the list, in one step. */
  remove(entry: Omit<Entry, "ttlMs" | "max">): Promise<void>;
  /**
   * Returns the values of a list, the latest first: in one step, at the price of what is returned. Returns
   * none after a member that is not there.
   */
  page(list: string, options: PageOptions): Promise<string[]>;
  /**
   * Puts `value` at the front of a list, or at its end; if it is there already, it moves. Of MAX_LIST others,
   * that at the other end goes.
   */
  push(list: string, value: string, options: { ttlMs: number; front?: boolean }): Promise<void>;
  /** Returns the first value of a list and moves it to its end. */
  rotate(list: string): Promise<string | undefined>;
  /** Schedules a member this many milliseconds from now. */
  schedule(agenda: string, member: string, inMs: number): Promise<void>;
  unschedule(agenda: string, member: string): Promise<void>;
  /**
   * Returns the due ids. Nobody else gets an id for `leaseMs`, when it is due again unless it was
   * scheduled anew or unscheduled.
   */
  claimDue(agenda: string, options: { leaseMs: number; limit: number }): Promise<string[]>;
  /** Returns the ids, the last due first. */
  latest(agenda: string, limit: number): Promise<string[]>;
}
