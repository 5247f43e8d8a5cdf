// Calls of a service of our own, from an edge: signed, with a deadline, with errors that a client of the edge may read.
import { ApiError, type ApiErrorBody } from "../wire/api_error.ts";
import { signRequest } from "./sign_request.ts";

export interface SignedClientOptions {
  /** Origin of the service, from configuration: never from a request. */
  url: string;
  /** What the service knows us by. @default calls are not signed */
  secret?: string | undefined;
  /** @default the global one */
  fetch?: typeof fetch;
  /** For a whole answer. @default 120000 */
  timeoutMs?: number;
  /** The request that a call is made for, for the service's log. @default none is named */
  requestId?: () => string | undefined;
  /** The error for a service that cannot be reached, or fails. */
  unavailable: { message: string; code: string };
}

export interface Call {
  /** @default GET */
  method?: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is. */
  body?: string | undefined;
  /** In place of the timeout. */
  signal?: AbortSignal;
  timeoutMs?: number;
}

export class SignedClient {
  readonly #options: SignedClientOptions;

  constructor(options: SignedClientOptions) {
    this.#options = options;
  }

  /** Origin of the service. */
  get url(): string {
    return new URL(this.#options.url).origin;
  }

  /** The answer's JSON. @throws {ApiError} what the service refuses, 503 where it cannot be reached */
  async json<T>(path: string, call: Call = {}): Promise<T> {
    const response = await this.ok(path, call);
    try {
      return await response.json();
    } catch (cause) {
      throw this.unavailable(cause);
    }
  }

  /** An answer of success. @throws {ApiError} what the service refuses, 503 where it cannot be reached */
  async ok(path: string, call: Call = {}): Promise<Response> {
    const response = await this.fetch(path, call);
    if (response.ok) return response;
    throw await this.#refusal(response);
  }

  /** Any answer. @throws {ApiError} 503 where there is none */
  async fetch(path: string, call: Call = {}): Promise<Response> {
    const { secret, requestId = () => undefined, fetch = globalThis.fetch } = this.#options;
    const { method = "GET", timeoutMs = this.#options.timeoutMs ?? 120_000, signal } = call;
    const url = new URL(path, this.#options.url);
    for (const [name, value] of Object.entries(call.query ?? {})) url.searchParams.set(name, value);
    const body = call.json === undefined ? call.body : JSON.stringify(call.json);
    const id = requestId();
    try {
      return await fetch(url, {
        method,
        headers: {
          ...id !== undefined && { "x-request-id": id },
          ...body !== undefined && { "content-type": "application/json" },
          ...call.headers,
          ...secret !== undefined && await signRequest(secret, { method, url, body }),
        },
        ...body !== undefined && { body },
        signal: signal ?? AbortSignal.timeout(timeoutMs),
        redirect: "manual",
      });
    } catch (cause) {
      throw this.unavailable(cause);
    }
  }

  unavailable(cause: unknown): ApiError {
    const { message, code } = this.#options.unavailable;
    return new ApiError(503, message, { code, retryAfter: 2, cause });
  }

  /** A service's refusals are meant for clients; its failures are not. */
  async #refusal(response: Response): Promise<ApiError> {
    const { status } = response;
    const told = parseBody(await response.text().catch(() => ""))?.error;
    // Secrets or clocks differ: the operator's to mend, so the log says it.
    if (status === 401) {
      return this.unavailable(new Error(`${this.url} refused this edge: ${told?.message}`));
    }
    if (told === undefined || status >= 500 && status !== 503) {
      return this.unavailable(new Error(`${this.url} answered ${status}: ${told?.message}`));
    }
    const retryAfter = Number(response.headers.get("retry-after") ?? NaN);
    return new ApiError(status, told.message, {
      ...told.param !== null && { param: told.param },
      ...told.code !== null && { code: told.code },
      ...Number.isFinite(retryAfter) && { retryAfter },
    });
  }
}

function parseBody(text: string): ApiErrorBody | undefined {
  try {
    const body = JSON.parse(text);
    return typeof body?.error?.message === "string" ? body : undefined;
  } catch {
    return undefined;
  }
}
