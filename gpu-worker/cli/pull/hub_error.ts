// The error for requests that the Hugging Face hub refuses or that do not reach it.

export interface HubErrorOptions extends ErrorOptions {
  /**
   * Whether the same request may succeed later: the connection
   * broke, or the hub is overloaded. @default false
   */
  transient?: boolean;
  /** HTTP status of the answer, if there was one. */
  status?: number;
  /** Time that the hub asks to wait before the next attempt. */
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
