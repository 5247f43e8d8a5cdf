// Deadlines of small bodies. One timer looks after all of them: a timer each costs
// more than reading the body.

export interface Deadline extends Disposable {
  /** Rejects once the deadline has passed. */
  passed: Promise<never>;
}

interface Waiting {
  at: number;
  fail: () => void;
}

/** Deadlines pass at most this much late, in milliseconds. */
const TICK_MS = 100;
const waiting = new Set<Waiting>();
let timer: ReturnType<typeof setTimeout> | undefined;

/**
 * Starts a deadline of `ms` milliseconds, which ends when it is disposed of. `error` is
 * what `passed` rejects with.
 */
export function startDeadline(ms: number, error: () => Error): Deadline {
  const { promise: passed, reject } = Promise.withResolvers<never>();
  passed.catch(() => {});
  const entry = { at: performance.now() + ms, fail: () => reject(error()) };
  waiting.add(entry);
  timer ??= setTimeout(tick, TICK_MS);
  return { passed, [Symbol.dispose]: () => void waiting.delete(entry) };
}

function tick(): void {
  const now = performance.now();
  for (const entry of waiting) {
    if (entry.at > now) continue;
    waiting.delete(entry);
    entry.fail();
  }
  timer = waiting.size === 0 ? undefined : setTimeout(tick, TICK_MS);
}
