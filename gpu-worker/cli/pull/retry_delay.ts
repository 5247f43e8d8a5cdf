// Decides how often and after which delay a request that failed temporarily is repeated.
import type { HubError } from "./hub_error.ts";

/** Attempts in a row without progress before giving up. */
export const ATTEMPTS = 5;
const FIRST_DELAY_MS = 250;
/** The hub counts requests over five minutes, so it has no reason to ask for a longer delay. */
const LONGEST_DELAY_MS = 300_000;

/**
 * Returns the milliseconds to wait after `failures` failures
 * in a row: the hub's request, else twice as long each time.
 */
export function retryDelay({ retryAfterMs }: HubError, failures: number): number {
  return Math.min(retryAfterMs ?? FIRST_DELAY_MS * 2 ** failures, LONGEST_DELAY_MS);
}

/** Returns the milliseconds of a Retry-After header, which holds seconds or a date. */
export function readRetryAfter(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isNaN(ms) ? undefined : Math.max(ms, 0);
}
