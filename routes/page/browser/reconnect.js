// Requests that outlive their connection: tried again until the service answers, however long it is away.
import { ApiError } from "./api_error.js";

/** Waits between two tries, in milliseconds; the last one repeats. */
const DELAYS = [500, 1000, 2000, 4000, 8000];

/**
 * @typedef {object} ReconnectOptions
 * @property {AbortSignal | null} [signal] Ends the waiting with its reason.
 * @property {(ms: number, signal: AbortSignal | null) => Promise<void>} [wait]
 * @property {() => void} [onLost] Told before each wait.
 */

/**
 * Runs `action` until it succeeds, or fails for another reason than a service that is away.
 *
 * @template T
 * @param {() => Promise<T>} action
 * @param {ReconnectOptions} [options]
 * @returns {Promise<T>}
 */
export async function reconnect(action, { signal = null, wait = pause, onLost = () => {} } = {}) {
  for (let failures = 0;; failures++) {
    try {
      return await action();
    } catch (error) {
      signal?.throwIfAborted();
      if (!isAway(error)) throw error;
    }
    onLost();
    await wait(DELAYS[Math.min(failures, DELAYS.length - 1)] ?? 0, signal);
  }
}

/**
 * Returns whether an error says that the service cannot be reached now. A browser's network errors are
 * TypeErrors.
 *
 * @param {unknown} error
 */
export function isAway(error) {
  if (error instanceof ApiError) return error.status === 429 || (error.status ?? 0) >= 500;
  return error instanceof TypeError || (error instanceof DOMException && error.name === "NetworkError");
}

/**
 * Resolves after `ms`, or as soon as the browser is online again.
 *
 * @param {number} ms
 * @param {AbortSignal | null} [signal]
 * @returns {Promise<void>}
 */
export function pause(ms, signal = null) {
  return new Promise((resolve, reject) => {
    const done = () => {
      clearTimeout(timer);
      globalThis.removeEventListener("online", done);
      signal?.removeEventListener("abort", done);
      if (signal?.aborted) reject(signal.reason);
      else resolve();
    };
    const timer = setTimeout(done, ms);
    globalThis.addEventListener("online", done);
    signal?.addEventListener("abort", done);
    if (signal?.aborted) done();
  });
}
