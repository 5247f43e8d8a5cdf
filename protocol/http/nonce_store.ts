// Nonces of calls that were served, for as long as their timestamps would be accepted. They belong to one
// process, as a worker's runs do.

export interface NonceStoreOptions {
  /** Largest number of nonces. None is forgotten early, as it could be used again. @default 100000 */
  capacity?: number;
  /** Milliseconds since 1970. @default Date.now */
  now?: () => number;
}

/** Tells calls apart that may be served once only. */
export interface Nonces {
  /** Notes `nonce` until `expiresAt`: "replayed" if it is known, "full" if there is no room for it. */
  add(nonce: string, expiresAt: number): NonceState | Promise<NonceState>;
}

export type NonceState = "new" | "replayed" | "full";

export class NonceStore implements Nonces {
  readonly #options: Required<NonceStoreOptions>;
  /** Nonce -> when its call goes stale, roughly in that order. */
  readonly #expiries = new Map<string, number>();

  constructor(options: NonceStoreOptions = {}) {
    this.#options = { capacity: 100_000, now: Date.now, ...options };
  }

  add(nonce: string, expiresAt: number): NonceState {
    if (this.#expiries.has(nonce)) return "replayed";
    this.#forgetExpired();
    if (this.#expiries.size >= this.#options.capacity) return "full";
    this.#expiries.set(nonce, expiresAt);
    return "new";
  }

  /**
   * Drops the oldest nonces up to the first that is still needed. Nonces out of order stay a little longer.
   */
  #forgetExpired(): void {
    const now = this.#options.now();
    for (const [nonce, expiresAt] of this.#expiries) {
      if (expiresAt >= now) return;
      this.#expiries.delete(nonce);
    }
  }
}
