// The store of API keys and of their use. It has two implementations: in this process, and in Redis.
import { z } from "zod";

/**
 * What a key may do. read: GET. generate: everything that starts or ends work. admin: both, and routes that
 * ask for admin by name.
 */
export const SCOPES = ["generate", "read", "admin"] as const;
export type Scope = typeof SCOPES[number];

/** One key, as it is stored and listed. */
export const keyRecordSchema = z.object({
  /** The middle part of the key, which is public. */
  id: z.string(),
  /** The owner's name, for people. */
  name: z.string(),
  /** SHA-256 of the secret, hex. The secret itself is stored nowhere. */
  secret_sha256: z.string().regex(/^[0-9a-f]{64}$/),
  scopes: z.array(z.enum(SCOPES)),
  /** Null for no limit. */
  requests_per_minute: z.int().positive().nullable(),
  /** In a calendar month, UTC. Null for no limit. */
  pictures_per_month: z.int().nonnegative().nullable(),
  /**
   * Whether files say how they were made. If false, they do only if a request asks for it. Records of earlier
   * versions lack it, which counts as true.
   */
  metadata: z.boolean().exactOptional(),
  created_at: z.iso.datetime(),
  revoked_at: z.iso.datetime().nullable(),
});
export type KeyRecord = z.infer<typeof keyRecordSchema>;

/** Milliseconds of the longest month, and of a day for clocks that differ. */
export const MONTH_MS = 32 * 86_400_000;

/**
 * Milliseconds for which the pictures of an id are remembered after their last holder:
 * longer than a job lives.
 */
export const ONCE_MS = 2 * 86_400_000;

/** An amount to count against a limit. */
export interface Take {
  /** Name of the counter: what it counts, and in which window of time. */
  counter: string;
  /** Counter of the window before, of which the share `weight`, 0..1, still counts. */
  previous?: { counter: string; weight: number };
  /** A negative amount is given back, whatever the limit. */
  amount: number;
  limit: number;
  /** Milliseconds after which the counter may be forgotten. */
  ttlMs: number;
}

export interface Taken {
  /** Whether the amount was counted. */
  ok: boolean;
  /** Amount in this window and, by its weight, in the one before, this amount included. */
  used: number;
  before: number;
}

/** Pictures that are counted under an id: once, however many requests have the id. */
export interface Charge {
  /** Id of the job or request that is counted. */
  id: string;
  /** One request that waits for the pictures. */
  holder: string;
  counter: string;
  amount: number;
  limit: number;
  /** Milliseconds of silence after which a holder is dead and its undelivered pictures are given back. */
  leaseMs: number;
}

export interface Settlement extends Pick<Charge, "id" | "holder" | "counter"> {
  /** 0-based places of pictures that the client has: they stay counted. */
  delivered: readonly number[];
  /** Number of pictures that were delivered without places, as a batch's are. It never falls. @default 0 */
  made?: number;
  /**
   * "holder": this holder stops waiting. "all": every holder does. Without holders, undelivered
   * pictures are given back.
   */
  done: "no" | "holder" | "all";
}

export interface CounterStore {
  /**
   * Counts pictures under an id if the limit allows it, in one step; what the id has counted already is free.
   */
  charge(charge: Charge): Promise<{ ok: boolean; used: number }>;
  /**
   * Notes which pictures were delivered, in one step. It may be repeated, and come without a `charge` before
   * it, as after an outage.
   */
  settle(settlement: Settlement): Promise<void>;
  /**
   * Keeps the pictures of holders that live counted for another `leaseMs`. Holders that have ended stay so.
   */
  renew(held: readonly Pick<Charge, "id" | "holder">[], leaseMs: number): Promise<void>;
  /** Gives back the pictures that dead holders did not deliver, and forgets expired counts. */
  repair(): Promise<void>;
  /** Adds `amount` if the limit allows it. This is atomic among all edges. */
  take(take: Take): Promise<Taken>;
  /** Returns the value of a counter. */
  used(counter: string): Promise<number>;
}

/** All methods reject while the store is away. */
export interface KeyStore extends CounterStore {
  find(id: string): Promise<KeyRecord | undefined>;
  /** Returns all keys, the oldest first and revoked ones too. */
  list(): Promise<KeyRecord[]>;
  /**
   * Returns whether there was never any key, a revoked one included, as far as the store or a note in it
   * remembers.
   */
  isEmpty(options?: { waitMs?: number }): Promise<boolean>;
  /** Notes that there were keys, for a store that has lost them. */
  noteKeys(): Promise<void>;
  /** Adds a key. @returns false if there is a key with this id */
  add(record: KeyRecord): Promise<boolean>;
  /** Revokes a key. @returns what is stored from now on; undefined if there is no such key */
  revoke(id: string, at: Date): Promise<KeyRecord | undefined>;
}

/** Returns `record` as revoked. The first revocation stays. */
export function revoked(record: KeyRecord, at: Date): KeyRecord {
  return { ...record, revoked_at: record.revoked_at ?? at.toISOString() };
}
