// The errors that a client gets for a run without a picture.
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { RunEvent } from "../../protocol/wire/run_event.ts";

export function runFailure(event: Extract<RunEvent, { type: "failed" | "cancelled" }>): ApiError {
  if (event.type === "cancelled") {
    return new ApiError(503, "The worker stopped before this picture was finished", {
      code: event.reason === "draining" ? "worker_draining" : "run_cancelled",
      retryAfter: 2,
    });
  }
  const { message, param, code } = event.error;
  return new ApiError(event.status, message, {
    ...param !== null && { param },
    ...code !== null && { code },
  });
}

/** Returns the error of a run whose worker is gone. */
export function workerLost(): ApiError {
  return new ApiError(503, "The worker that made this picture can no longer be reached", {
    code: "worker_lost",
    retryAfter: 2,
  });
}
