// The error that a client gets for a run that has failed.
import { ApiError } from "../../protocol/wire/api_error.ts";
import { ImageError } from "../media/image_error.ts";
import { DeviceLimitError, DeviceLostError, NotFiniteError } from "../runtime/mod.ts";

/**
 * Returns the error for a client. A network that failed is named: the remedy is for the operator, but the
 * client learns that a retry is pointless.
 */
export function runError(cause: unknown): ApiError {
  if (cause instanceof NotFiniteError) {
    return new ApiError(500, cause.message, { code: "not_finite", cause });
  }
  if (cause instanceof DeviceLostError) {
    const message = "The worker lost its device during the run and opens it anew: send the request again";
    return new ApiError(500, message, { code: "device_lost", cause });
  }
  if (cause instanceof DeviceLimitError) {
    const message =
      "The request needs more than a buffer of the worker's device holds: ask for a smaller size";
    return new ApiError(400, message, { code: "device_limit", cause });
  }
  if (cause instanceof ImageError) {
    return new ApiError(400, cause.message, { param: cause.field, code: "invalid_value", cause });
  }
  return ApiError.from(cause);
}
