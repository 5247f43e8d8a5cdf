// How often, and after which pause, a request that failed in passing is made again.
import type { HubError } from "./hub_error.ts";

/** Attempts in a row that bring nothing. */
export const ATTEMPTS = 5;
const FIRST_DELAY_MS = 250;
/** The hub counts requests over five minutes, so it never has reason to ask for a longer pause. */
const LONGEST_DELAY_MS = 300_000;

/** Milliseconds to wait after `failures` in a row: what the hub asks for, else twice as long each time. */
export function retryDelay({ retryAfterMs }: HubError, failures: number): number {
  return Math.min(retryAfterMs ?? FIRST_DELAY_MS * 2 ** failures, LONGEST_DELAY_MS);
}

/** Milliseconds that a Retry-After header asks for: seconds, or a date. */
export function readRetryAfter(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  const ms = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isNaN(ms) ? undefined : Math.max(ms, 0);
}
