// Parts that the descriptions of all routes share: errors, and JSON or other bodies in the
// spelling of an OpenAPI document.
import { z } from "zod";
import type { ZodOpenApiResponseObject, ZodOpenApiResponsesObject } from "zod-openapi";

const again = z.string().exactOptional();

/** ApiErrorBody of protocol/wire/api_error.ts, and A1111ErrorBody of a1111/a1111_error.ts. */
export const errorSchema = z.object({
  error: z.object({
    message: z.string().describe("For people; says what cannot be done, and why."),
    type: z.string(),
    param: z.string().nullable().describe("The request field at fault, as the client spelled it."),
    code: z.string().nullable().describe("Stable and machine-readable."),
  }),
  detail: again.describe("Under /sdapi and /controlnet: the message once more."),
  body: again,
  errors: again,
}).meta({ id: "Error" });

const MEANINGS: Record<number, string> = {
  400: "The request is wrong; `param` names the field",
  401: "No API key, or one that is not valid",
  403: "The key lacks a scope, or the server answers its own machine only",
  404: "There is no such thing",
  405: "The method is not allowed here; the header Allow lists those that are",
  408: "The body did not arrive in time",
  409: "The state of the thing does not allow this, or the same request is in progress",
  413: "The body is too large",
  415: "The body has another content type",
  416: "The range lies outside the file",
  422: "The Idempotency-Key was used for another request",
  429: "The queue is full, or a limit of the key is reached; see retry-after",
  500: "The server failed",
  503: "No worker, or no store, can be reached at the moment; see retry-after",
  504: "Cache-Control has only-if-cached, and the result is not stored",
};

/** Headers of every answer. */
const headers = {
  "x-request-id": {
    description: "Names this request in logs; a client's own X-Request-Id is kept",
    schema: { type: "string" as const },
  },
};

/** Refusals with these statuses, beside those that every route of /v1 may give: 401, 403, 429, 500, 503. */
export function errors(...statuses: number[]): ZodOpenApiResponsesObject {
  return Object.fromEntries([401, 403, 429, 500, 503, ...statuses].map((status) => [status, error(status)]));
}

/** Describes one refusal. */
export function error(status: number): ZodOpenApiResponseObject {
  return {
    description: MEANINGS[status]!,
    headers,
    content: { "application/json": { schema: errorSchema } },
  };
}

/** Describes a JSON answer, or any other by its content type. */
export function body(
  description: string,
  content: z.ZodType | Record<string, z.ZodType>,
): ZodOpenApiResponseObject {
  const types = content instanceof z.ZodType ? { "application/json": content } : content;
  return {
    description,
    headers,
    content: Object.fromEntries(Object.entries(types).map(([type, schema]) => [type, { schema }])),
  };
}

/** Bytes of any kind. */
export const binary = z.unknown().meta({ override: { type: "string", format: "binary" } });
/** One server-sent event of a stream. */
export const eventStream = z.object({
  event: z.string().describe("docs/api.md lists them; `error` ends a stream."),
  data: z.string().describe("JSON."),
  id: z.string().exactOptional().describe("Event to resume after, as Last-Event-ID."),
  retry: z.int().exactOptional().describe("Milliseconds before a reconnection; in the first event."),
}).meta({ id: "Event" });
