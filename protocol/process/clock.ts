// Time as a component sees it, so that a test can move it instead of sleeping.

export interface Clock {
  /** Milliseconds since an arbitrary moment; never goes back. */
  now(): number;
  /**
   * Calls `call` once after `ms`, unless the timer is disposed of first. A timer does
   * not keep the process alive.
   */
  after(ms: number, call: () => void): Disposable;
}

/** The host's time. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, call) {
    const timer = setTimeout(call, ms);
    Deno.unrefTimer(timer as unknown as number);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};
