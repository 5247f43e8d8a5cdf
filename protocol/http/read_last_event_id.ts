// The Last-Event-ID header, with which a reader of an event stream goes on.
import { ApiError } from "../wire/api_error.ts";

/**
 * Reads the header. Returns 0 if it is absent, which is before the first event.
 * @param source the name of what has the events, for the error
 * @throws {ApiError} 400 if it is not a number
 */
export function readLastEventId(header: string | undefined, source: string): number {
  if (header === undefined) return 0;
  if (/^\d{1,12}$/.test(header)) return Number(header);
  throw new ApiError(400, `Last-Event-ID must be the id of an event of this ${source}`, {
    code: "invalid_value",
  });
}
