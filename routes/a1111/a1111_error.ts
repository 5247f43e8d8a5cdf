// Errors as AUTOMATIC1111's API has them. Its clients read `detail`; some read OpenAI's `error.message`.
// Source: its modules/api/api.py, api_middleware
import type { ApiError, ApiErrorBody } from "../../protocol/wire/api_error.ts";

export interface A1111ErrorBody extends ApiErrorBody {
  detail: string;
  body: string;
  errors: string;
}

export function a1111Error(error: ApiError): A1111ErrorBody {
  return { ...error.toBody(), detail: error.message, body: "", errors: "" };
}

/** Returns whether the clients of `path` expect such errors. */
export function isA1111(path: string): boolean {
  return path.startsWith("/sdapi/") || path.startsWith("/controlnet/");
}
