// The edge's view of a worker: models, runs and their events over HTTP.
import { EventSourceParserStream } from "eventsource-parser/stream";
import { ApiError, type ApiErrorBody } from "../../protocol/wire/api_error.ts";
import type { ModelCard } from "../../protocol/wire/model_card.ts";
import type { NumberedEvent } from "../../protocol/wire/run_event.ts";
import type {
  CompleteSettings,
  OpenCompletionRequest,
  OpenRunRequest,
  RunAccepted,
} from "../../protocol/wire/run_request.ts";
import { signRequest } from "../../protocol/http/sign_request.ts";
import { SilenceWatch } from "../../protocol/http/silence_watch.ts";

export interface WorkerClientOptions {
  /** Origin of the worker, from configuration: never from a request. */
  url: string;
  /** What the worker knows us by. @default calls are not signed */
  secret?: string | undefined;
  /** @default the global one */
  fetch?: typeof fetch;
  /** For answers other than event streams; a cold model loads within it. @default 120000 */
  timeoutMs?: number;
  /** An event stream that says nothing for so long, not even a comment, is broken. @default 45000 */
  idleMs?: number;
  /** The request that a call is made for, for the worker's log. @default none is named */
  requestId?: () => string | undefined;
}

export interface WorkerStatus {
  /** Whether it takes runs. */
  ready: boolean;
  /** Runs that wait for its device. */
  queue_depth: number;
  running: boolean;
}

export class WorkerClient {
  readonly #options: Required<Omit<WorkerClientOptions, "secret">> & Pick<WorkerClientOptions, "secret">;

  constructor(options: WorkerClientOptions) {
    this.#options = {
      ...{ fetch: globalThis.fetch, timeoutMs: 120_000, idleMs: 45_000, requestId: () => undefined },
      ...options,
    };
  }

  /** Origin of the worker. */
  get url(): string {
    return new URL(this.#options.url).origin;
  }

  async models(): Promise<ModelCard[]> {
    const { models } = await this.#json<{ models: ModelCard[] }>("/models", { timeoutMs: 5000 });
    return models;
  }

  /** `request` with the checkpoint's defaults filled in. @throws {ApiError} 400, 404 as the worker says */
  complete(request: OpenCompletionRequest): Promise<CompleteSettings> {
    return this.#json("/complete", { method: "POST", body: request });
  }

  /** @throws {ApiError} 400, 404, 429, 503 as the worker says */
  submit(request: OpenRunRequest): Promise<RunAccepted> {
    return this.#json("/runs", { method: "POST", body: request });
  }

  /** Ends the run within one step; a run that is over or forgotten is left alone. */
  async cancel(id: string): Promise<void> {
    const response = await this.#fetch(`/runs/${id}`, { method: "DELETE", timeoutMs: 5000 });
    await response.body?.cancel();
  }

  /** Whether the worker is at this run. What cannot be reached is not. */
  async isMaking(id: string): Promise<boolean> {
    try {
      const { finished } = await this.#json<{ finished: boolean }>(`/runs/${id}`, { timeoutMs: 2000 });
      return !finished;
    } catch {
      return false;
    }
  }

  /** @throws {ApiError} 503 if it does not tell in time */
  async status(): Promise<WorkerStatus> {
    const response = await this.#fetch("/readyz", { timeoutMs: 2000 });
    try {
      const { queue_depth = 0, running = false } = await response.json();
      return { ready: response.ok, queue_depth: Number(queue_depth), running: running === true };
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  async ready(): Promise<boolean> {
    return (await this.status()).ready;
  }

  /** Events after the one with id `after`, until the run or the connection ends. @throws {ApiError} 404, 503 */
  async *events(
    id: string,
    { after, signal }: { after: number; signal: AbortSignal },
  ): AsyncGenerator<NumberedEvent> {
    const { idleMs } = this.#options;
    using watch = new SilenceWatch({ firstMs: idleMs, idleMs, signal });
    try {
      const response = await this.#fetch(`/runs/${id}/events`, {
        headers: { "last-event-id": String(after) },
        signal: watch.signal,
      });
      if (!response.ok) throw await toApiError(response);
      if (response.body === null) return;
      const messages = response.body
        .pipeThrough(new TextDecoderStream())
        .pipeThrough(watch.listen())
        .pipeThrough(new EventSourceParserStream());
      for await (const { id, data } of messages) yield { id: Number(id), event: JSON.parse(data) };
    } catch (cause) {
      throw cause instanceof ApiError ? cause : unavailable(cause);
    }
  }

  async #json<T>(path: string, options: FetchOptions = {}): Promise<T> {
    const response = await this.#fetch(path, options);
    if (!response.ok) throw await toApiError(response);
    try {
      return await response.json();
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  async #fetch(path: string, options: FetchOptions = {}): Promise<Response> {
    const { method = "GET", headers = {}, signal, timeoutMs = this.#options.timeoutMs } = options;
    const { secret } = this.#options;
    const url = new URL(path, this.#options.url);
    const body = options.body === undefined ? undefined : JSON.stringify(options.body);
    const requestId = this.#options.requestId();
    try {
      return await this.#options.fetch(url, {
        method,
        headers: {
          ...headers,
          ...requestId !== undefined && { "x-request-id": requestId },
          ...body !== undefined && { "content-type": "application/json" },
          ...secret !== undefined && await signRequest(secret, { method, url, body }),
        },
        ...body !== undefined && { body },
        signal: signal ?? AbortSignal.timeout(timeoutMs),
        redirect: "manual",
      });
    } catch (cause) {
      throw unavailable(cause);
    }
  }
}

interface FetchOptions {
  method?: string;
  headers?: Record<string, string>;
  body?: unknown;
  /** In place of the timeout. */
  signal?: AbortSignal;
  timeoutMs?: number;
}

/** A worker's refusals are meant for clients; its failures are not. */
async function toApiError(response: Response): Promise<ApiError> {
  const text = await response.text().catch(() => "");
  const told = parseBody(text)?.error;
  // Secrets or clocks of edge and worker differ: not the client's doing, for the log to say.
  if (response.status === 401) {
    return unavailable(new Error(`The worker refused this edge: ${told?.message}`));
  }
  const error = response.status < 500 || response.status === 503 ? told : undefined;
  if (error === undefined) return unavailable(new Error(`The worker answered ${response.status}`));
  const retryAfter = Number(response.headers.get("retry-after") ?? NaN);
  return new ApiError(response.status, error.message, {
    ...error.param !== null && { param: error.param },
    ...error.code !== null && { code: error.code },
    ...Number.isFinite(retryAfter) && { retryAfter },
  });
}

function parseBody(text: string): ApiErrorBody | undefined {
  try {
    const body = JSON.parse(text);
    return typeof body?.error?.message === "string" ? body : undefined;
  } catch {
    return undefined;
  }
}

function unavailable(cause: unknown): ApiError {
  return new ApiError(503, "No worker can be reached at the moment", {
    code: "worker_unavailable",
    retryAfter: 2,
    cause,
  });
}
