// The store that edges and workers share does not answer.
import { ApiError } from "../wire/api_error.ts";

/**
 * Code that can do without the store catches this error. Where the store is the truth it is the
 * answer: 503 with Retry-After.
 */
export class StoreAwayError extends ApiError {
  constructor(cause?: unknown) {
    super(503, "The store of this server cannot be reached at the moment", {
      code: "store_unavailable",
      retryAfter: 2,
      cause,
    });
  }

  /** Returns the message with its cause, as logs need the reason. */
  override toString(): string {
    return `The store is away: ${
      this.cause instanceof Error ? this.cause.message : "it failed a moment ago"
    }`;
  }
}
