// The store that edges and workers share answers, but takes no writes: it is full, a replica, or cannot save.
import { StoreAwayError } from "./store_away_error.ts";

/** Refuses a write as if the store were away. Reads go on. */
export class StoreFullError extends StoreAwayError {
  override toString(): string {
    return `The store takes no writes: ${this.cause instanceof Error ? this.cause.message : "it is full"}`;
  }
}
