// Small things that all edges must agree on: jobs, tickets, what has been asked before. Two implementations:
// in this process, and in Redis.

export interface SetOptions {
  ttlMs: number;
  /** @default false */
  onlyIfAbsent?: boolean;
  /** How long a store that went away is waited for, in milliseconds. @default it is not */
  waitMs?: number;
  /** Other edges have to find it: rejects rather than keep it in one process alone. @default false */
  shared?: boolean;
  /** Promised to a client: a store that runs full does not evict it. @default false */
  keep?: boolean;
}

/** A value that has something due, and that its owner finds in a list. */
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
  /** Values are found under this and a member. */
  prefix: string;
  limit: number;
  /** The last member of the page before. @default from the beginning */
  after?: string | undefined;
  /** The oldest first. @default false */
  ascending?: boolean;
  /** Members that are older have no value any more. */
  ttlMs: number;
}

/** "known", "full": nothing was done, as there is a value, or the list is as long as it may be. */
export type Entered = "entered" | "known" | "full";

/** Longest list: a client's equal requests would make one without an end. */
export const MAX_LIST = 1000;

/** Times are the store's own. Everything rejects with a StoreAwayError while the store is away. */
export interface StateStore {
  get(key: string): Promise<string | undefined>;
  /** Sets a value. @returns false if it was not set, as there was a value */
  set(key: string, value: string, options: SetOptions): Promise<boolean>;
  /** Replaces `from`, and nothing else. @returns what is there from now on; undefined: nothing */
  swap(key: string, change: { from: string; to: string }): Promise<string | undefined>;
  delete(key: string): Promise<void>;
  /** Keeps a value, has it due at once and puts it into its list, in one step. */
  enter(entry: Entry, value: string): Promise<Entered>;
  /** Removes a value, what is due of it and its place in the list, in one step. */
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
  /** Notes that something is due this many milliseconds from now. */
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
