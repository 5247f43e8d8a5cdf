// Small things that all edges must agree on: jobs, tickets, what has been asked before. Two implementations: in this
// process, and in Redis.

export interface SetOptions {
  ttlMs: number;
  /** @default false */
  onlyIfAbsent?: boolean;
  /** @default false */
  onlyIfPresent?: boolean;
  /** Other edges have to find it: rejects while the store is away, rather than be kept by this process alone. @default false */
  forOthers?: boolean;
}

/** Longest list: a client's equal requests would make one without an end. */
export const MAX_LIST = 1000;

/** Everything rejects with a StoreAwayError while the store is away. */
export interface StateStore {
  get(key: string): Promise<string | undefined>;
  /** @returns false if it was not set, as there was a value, or none */
  set(key: string, value: string, options: SetOptions): Promise<boolean>;
  delete(key: string): Promise<void>;
  /** Puts `value` at the front of a list, or at its end; if it is there already, it moves. Of MAX_LIST others, that at the other end goes. */
  push(list: string, value: string, options: { ttlMs: number; front?: boolean }): Promise<void>;
  /** The first value of a list, which goes to its end. */
  rotate(list: string): Promise<string | undefined>;
  /** Notes that something is due, or is to be found, at a time: milliseconds since 1970. An agenda that nobody adds to for two days is forgotten. */
  schedule(agenda: string, member: string, at: number): Promise<void>;
  /** Drops what was noted for times before `at`. */
  forgetBefore(agenda: string, at: number): Promise<void>;
  unschedule(agenda: string, member: string): Promise<void>;
  /** What is due. Nobody else gets it for `leaseMs`, when it is due again unless it was scheduled anew or unscheduled. */
  claimDue(agenda: string, options: { leaseMs: number; limit: number }): Promise<string[]>;
  /** The latest first. */
  latest(agenda: string, limit: number): Promise<string[]>;
}
