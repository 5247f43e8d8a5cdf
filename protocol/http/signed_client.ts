// An edge's calls to a service of our own: signed, with a deadline, and with errors that a client of the edge
// may read.
import { ApiError, type ApiErrorBody } from "../wire/api_error.ts";
import { pooledFetch } from "./pooled_fetch.ts";
import { INSTANCE_HEADER, OTHER_INSTANCE, signRequest } from "./sign_request.ts";

export interface SignedClientOptions {
  /** Origin of the service, from configuration: never from a request. */
  url: string;
  /** Secret shared with the service. @default calls are not signed */
  secret?: string | undefined;
  /**
   * Whether calls are signed for the one process that answers; it names itself at GET /healthz.
   * @default false
   */
  identified?: boolean;
  /** @default the global one, with few idle connections */
  fetch?: typeof fetch;
  /** Milliseconds for a whole answer. @default 120000 */
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
  /** Body that is sent as JSON. */
  json?: unknown;
  /** Body that is sent as it is. */
  body?: string | undefined;
  /** In place of the timeout. */
  signal?: AbortSignal;
  timeoutMs?: number;
}

/** Milliseconds for a process to name itself. */
const HEALTH_MS = 2000;

export class SignedClient {
  readonly #options: SignedClientOptions;
  /** Id by which the service named its process. */
  #instance: Promise<string | undefined> | undefined;

  constructor(options: SignedClientOptions) {
    this.#options = options;
  }

  /** Origin of the service. */
  get url(): string {
    return new URL(this.#options.url).origin;
  }

  /**
   * Calls the service and returns the answer's JSON.
   * @throws {ApiError} what the service refuses, 503 where it cannot be reached
   */
  async json<T>(path: string, call: Call = {}): Promise<T> {
    const response = await this.ok(path, call);
    try {
      return await response.json();
    } catch (cause) {
      throw this.unavailable(cause);
    }
  }

  /**
   * Calls the service and returns its answer of success.
   * @throws {ApiError} what the service refuses, 503 where it cannot be reached
   */
  async ok(path: string, call: Call = {}): Promise<Response> {
    const response = await this.fetch(path, call);
    if (response.ok) return response;
    throw await this.#refusal(response);
  }

  /** Calls the service and returns any answer. @throws {ApiError} 503 where there is none */
  async fetch(path: string, call: Call = {}): Promise<Response> {
    const response = await this.#send(path, call);
    if (response.status !== 401 || !await isForAnother(response)) return response;
    // The service was restarted: the call is signed again, once, for the new process.
    await response.body?.cancel();
    this.#instance = undefined;
    return await this.#send(path, call);
  }

  async #send(path: string, call: Call): Promise<Response> {
    const { secret, identified = false, requestId = () => undefined, fetch = pooledFetch } = this.#options;
    const { method = "GET", timeoutMs = this.#options.timeoutMs ?? 120_000, signal } = call;
    const url = new URL(path, this.#options.url);
    for (const [name, value] of Object.entries(call.query ?? {})) url.searchParams.set(name, value);
    const body = call.json === undefined ? call.body : JSON.stringify(call.json);
    const id = requestId();
    try {
      const instance = identified && secret !== undefined ? await this.#learnInstance() : undefined;
      return await fetch(url, {
        method,
        headers: {
          ...id !== undefined && { "x-request-id": id },
          ...body !== undefined && { "content-type": "application/json" },
          ...call.headers,
          ...secret !== undefined && await signRequest(secret, { method, url, body, instance }),
        },
        ...body !== undefined && { body },
        signal: signal ?? AbortSignal.timeout(timeoutMs),
        redirect: "manual",
      });
    } catch (cause) {
      throw this.unavailable(cause);
    }
  }

  /** Asked once for all calls, so that none of their deadlines ends it. */
  async #learnInstance(): Promise<string | undefined> {
    const { fetch = pooledFetch } = this.#options;
    const ask = async () => {
      const signal = AbortSignal.timeout(HEALTH_MS);
      const response = await fetch(new URL("/healthz", this.#options.url), { signal, redirect: "manual" });
      await response.body?.cancel();
      return response.headers.get(INSTANCE_HEADER) ?? undefined;
    };
    const asked = this.#instance ??= ask();
    try {
      return await asked;
    } catch (cause) {
      if (this.#instance === asked) this.#instance = undefined;
      throw cause;
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
    // Secrets or clocks differ, which only the operator can mend. So the log says it.
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

async function isForAnother(response: Response): Promise<boolean> {
  return parseBody(await response.clone().text().catch(() => ""))?.error.code === OTHER_INSTANCE;
}

function parseBody(text: string): ApiErrorBody | undefined {
  try {
    const body = JSON.parse(text);
    return typeof body?.error?.message === "string" ? body : undefined;
  } catch {
    return undefined;
  }
}
