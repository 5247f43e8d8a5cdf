// The one place where a thrown value becomes an answer.
import type { ErrorHandler } from "hono";
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { Environment } from "./environment.ts";

/** What is not an ApiError is logged and answered without a word of its own. */
export function handleError(): ErrorHandler<Environment> {
  return (cause, c) => {
    const error = ApiError.from(cause);
    if (error.status >= 500) c.get("log")("error", error.message, { error: String(error.cause ?? error) });
    return error.toResponse();
  };
}
