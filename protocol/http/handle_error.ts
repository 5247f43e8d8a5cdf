// The one place where a thrown value becomes an answer, for every app of this project.
import type { ErrorHandler } from "hono";
import type { Log } from "../process/structured_log.ts";
import { ApiError } from "../wire/api_error.ts";

export interface HandleErrorOptions {
  /** Used where the request has no log of its own. */
  log: Log;
  /** The answer's body. @default OpenAI's shape */
  toBody?: (error: ApiError, path: string) => unknown;
}

interface Variables {
  requestId?: string;
  log?: Log;
}

/**
 * Logs failures with their cause. A client reads the message of an ApiError, and no word of any other error.
 */
export function handleError(
  { log, toBody = (error) => error.toBody() }: HandleErrorOptions,
): ErrorHandler {
  return (cause, c) => {
    const error = ApiError.from(cause);
    const { requestId, log: own = log } = c.var as Variables;
    if (error.status >= 500) {
      own("error", "request failed", {
        // An app without ids of its own serves edges, which send the id of their request.
        request_id: requestId ?? c.req.header("x-request-id"),
        path: c.req.path,
        error: String(error.cause ?? error),
      });
    }
    // A new answer: headers that the route has set for its success are not the failure's.
    const headers = error.headers();
    if (requestId !== undefined) headers.set("x-request-id", requestId);
    return Response.json(toBody(error, c.req.path), { status: error.status, headers });
  };
}
