// Stops calls to a side that keeps failing, and lets one call through from time to time to
// see whether it still fails.

export interface CircuitBreakerOptions {
  /** Failures in a row that open it. @default 3 */
  threshold?: number;
  /** Milliseconds for which it stays open at first. Each failed trial doubles them. @default 1000 */
  openMs?: number;
  /** @default 30000 */
  maxOpenMs?: number;
  /** Milliseconds from any origin. @default performance.now */
  now?: () => number;
}

export class CircuitBreaker {
  readonly #options: Required<CircuitBreakerOptions>;
  #failures = 0;
  #openUntil = -Infinity;
  /** Whether there was a sign of life from the other side since the last failure. */
  #reached = false;

  constructor(options: CircuitBreakerOptions = {}) {
    this.#options = {
      threshold: 3,
      openMs: 1000,
      maxOpenMs: 30_000,
      now: () => performance.now(),
      ...options,
    };
  }

  get state(): "closed" | "open" | "half-open" {
    if (this.#failures < this.#options.threshold) return "closed";
    return this.#options.now() < this.#openUntil ? "open" : "half-open";
  }

  /**
   * Returns whether a call may be made. While the breaker is half open, one call may be, or all calls once
   * there was a sign of life.
   */
  allows(): boolean {
    const { state } = this;
    if (state === "half-open" && !this.#reached) this.#openUntil = this.#options.now() + this.#options.openMs;
    return state !== "open";
  }

  succeeded(): void {
    this.#failures = 0;
    this.#openUntil = -Infinity;
  }

  /** Notes a sign of life that came by other means: calls are made until one fails. */
  reached(): void {
    this.#reached = true;
    this.#openUntil = -Infinity;
  }

  failed(): void {
    const { threshold, openMs, maxOpenMs, now } = this.#options;
    this.#reached = false;
    const trials = ++this.#failures - threshold;
    if (trials >= 0) this.#openUntil = now() + Math.min(maxOpenMs, openMs * 2 ** trials);
  }
}
