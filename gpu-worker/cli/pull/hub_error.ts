// The error for what the Hugging Face hub, or the way to it, refuses.

export interface HubErrorOptions extends ErrorOptions {
  /** The same request may succeed in a moment: the connection broke, or the hub is overloaded. @default false */
  transient?: boolean;
  /** HTTP status of the answer, where there was one. */
  status?: number;
  /** The hub asked to wait this long before the next attempt. */
  retryAfterMs?: number | undefined;
}

export class HubError extends Error {
  override readonly name = "HubError";
  readonly transient: boolean;
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(message: string, options: HubErrorOptions = {}) {
    const { transient = false, status, retryAfterMs, ...rest } = options;
    super(message, rest);
    this.transient = transient;
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}
