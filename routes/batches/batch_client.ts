// The edge's view of the batch service: signed calls that name the tenant they are for.
import { ApiError, type ApiErrorBody } from "../../protocol/wire/api_error.ts";
import type { Batch, CreateBatch, Page, StoredFile } from "../../protocol/wire/batch.ts";
import { signRequest } from "../../protocol/http/sign_request.ts";

export interface BatchClientOptions {
  /** Origin of the batch service, from configuration: never from a request. */
  url: string;
  /** What it knows us by. @default calls are not signed */
  secret?: string | undefined;
  /** @default the global one */
  fetch?: typeof fetch;
  /** Until an answer begins. @default 30000 */
  timeoutMs?: number;
}

/** Whose call it is, and the request it belongs to. */
export interface BatchCaller {
  tenant: string;
  requestId: string;
}

export class BatchClient {
  readonly #options: Required<Omit<BatchClientOptions, "secret">> & Pick<BatchClientOptions, "secret">;

  constructor(options: BatchClientOptions) {
    this.#options = { fetch: globalThis.fetch, timeoutMs: 30_000, ...options };
  }

  addFile(caller: BatchCaller, { name, text }: { name: string; text: string }): Promise<StoredFile> {
    return this.#json(caller, { path: "/files", query: { name }, method: "POST", body: text });
  }

  file(caller: BatchCaller, id: string): Promise<StoredFile> {
    return this.#json(caller, { path: `/files/${encodeURIComponent(id)}` });
  }

  files(caller: BatchCaller, query: Record<string, string>): Promise<Page<StoredFile>> {
    return this.#json(caller, { path: "/files", query });
  }

  async deleteFile(caller: BatchCaller, id: string): Promise<void> {
    const response = await this.#fetch(caller, {
      path: `/files/${encodeURIComponent(id)}`,
      method: "DELETE",
    });
    await response.body?.cancel();
  }

  /** Bytes as they come. */
  async content(caller: BatchCaller, id: string): Promise<ReadableStream<Uint8Array>> {
    const response = await this.#fetch(caller, { path: `/files/${encodeURIComponent(id)}/content` });
    return response.body!;
  }

  create(caller: BatchCaller, request: CreateBatch): Promise<Batch> {
    return this.#json(caller, { path: "/batches", method: "POST", body: JSON.stringify(request) });
  }

  batch(caller: BatchCaller, id: string): Promise<Batch> {
    return this.#json(caller, { path: `/batches/${encodeURIComponent(id)}` });
  }

  batches(caller: BatchCaller, query: Record<string, string>): Promise<Page<Batch>> {
    return this.#json(caller, { path: "/batches", query });
  }

  cancel(caller: BatchCaller, id: string): Promise<Batch> {
    return this.#json(caller, { path: `/batches/${encodeURIComponent(id)}/cancel`, method: "POST" });
  }

  async #json<T>(caller: BatchCaller, call: Call): Promise<T> {
    const response = await this.#fetch(caller, call);
    try {
      return await response.json();
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  /** @throws {ApiError} what the service refuses, 503 if it cannot be reached */
  async #fetch(
    { tenant, requestId }: BatchCaller,
    { path, query, method = "GET", body }: Call,
  ): Promise<Response> {
    const { url: origin, secret, timeoutMs } = this.#options;
    const url = new URL(path, origin);
    for (const [name, value] of Object.entries({ ...query, tenant })) url.searchParams.set(name, value);
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), timeoutMs);
    let response: Response;
    try {
      response = await this.#options.fetch(url, {
        method,
        headers: {
          "x-request-id": requestId,
          ...body !== undefined && { "content-type": "application/json" },
          ...secret !== undefined && await signRequest(secret, { method, url, body }),
        },
        ...body !== undefined && { body },
        signal: timeout.signal,
        redirect: "manual",
      });
    } catch (cause) {
      throw unavailable(cause);
    } finally {
      clearTimeout(timer);
    }
    if (response.ok) return response;
    throw await refusal(response);
  }
}

interface Call {
  path: string;
  query?: Record<string, string>;
  method?: string;
  body?: string;
}

/** The service's refusals are meant for clients; its failures are not. */
async function refusal(response: Response): Promise<ApiError> {
  const body = await response.json().catch(() => undefined) as ApiErrorBody | undefined;
  const { status } = response;
  if (typeof body?.error?.message !== "string" || status === 401 || status >= 500) {
    return unavailable(new Error(`The batch service answered ${status}: ${body?.error?.message}`));
  }
  const { message, param, code } = body.error;
  return new ApiError(status, message, { ...param !== null && { param }, ...code !== null && { code } });
}

function unavailable(cause: unknown): ApiError {
  return new ApiError(503, "The batch service cannot be reached at the moment", {
    code: "batches_unavailable",
    retryAfter: 2,
    cause,
  });
}
