// The edge's view of a worker: models, runs and their events over HTTP.
import { EventSourceParserStream } from "eventsource-parser/stream";
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { ModelCard } from "../../protocol/wire/model_card.ts";
import type { NumberedEvent } from "../../protocol/wire/run_event.ts";
import type {
  CompleteSettings,
  OpenCompletionRequest,
  OpenRunRequest,
  RunAccepted,
} from "../../protocol/wire/run_request.ts";
import { SignedClient, type SignedClientOptions } from "../../protocol/http/signed_client.ts";
import { filesOf, SentFiles } from "./sent_files.ts";
import { Turns } from "../../protocol/process/turns.ts";
import { SilenceWatch } from "../../protocol/http/silence_watch.ts";

export interface WorkerClientOptions extends Omit<SignedClientOptions, "unavailable"> {
  /** Milliseconds without even a comment after which an event stream counts as broken. @default 45000 */
  idleMs?: number;
  /** Deadline in milliseconds of an answer that needs no run: a slower worker hangs. @default 5000 */
  answerMs?: number;
}

export interface WorkerStatus {
  /** Whether it takes runs. */
  ready: boolean;
  /** Runs that wait for its device. */
  queue_depth: number;
  running: boolean;
}

export class WorkerClient {
  readonly #client: SignedClient;
  readonly #idleMs: number;
  readonly #answerMs: number;
  /** Requests with images under way to this worker. */
  readonly #images = new Turns(2);
  readonly #files = new SentFiles();

  constructor({ idleMs = 45_000, answerMs = 5000, ...options }: WorkerClientOptions) {
    const message = "No worker can be reached at the moment";
    this.#client = new SignedClient({
      timeoutMs: answerMs,
      identified: true,
      ...options,
      unavailable: { message, code: "worker_unavailable" },
    });
    this.#idleMs = idleMs;
    this.#answerMs = answerMs;
  }

  /** Origin of the worker. */
  get url(): string {
    return this.#client.url;
  }

  async models(): Promise<ModelCard[]> {
    const { models } = await this.#client.json<{ models: ModelCard[] }>("/models", {
      timeoutMs: this.#answerMs,
    });
    return models;
  }

  /**
   * Returns `request` with the checkpoint's defaults filled in.
   * @throws {ApiError} 400, 404 as the worker says
   */
  complete(request: OpenCompletionRequest): Promise<CompleteSettings> {
    return this.#client.json("/complete", { method: "POST", json: request });
  }

  /** Hands a run to the worker. @throws {ApiError} 400, 404, 429, 503 as the worker says */
  async submit(request: OpenRunRequest): Promise<RunAccepted> {
    const files = filesOf(request);
    if (files === undefined) return await this.#submit(request);
    const { key, named } = files;
    const sent = await this.#files.send(key, async () => {
      // On its way an image is held several times: as text, as bytes to sign, as bytes to send.
      using _turn = await this.#images.take();
      return await this.#submit(request);
    });
    if (sent !== undefined) return sent;
    try {
      return await this.#submit(named);
    } catch (cause) {
      if (!(cause instanceof ApiError && cause.code === "file_unknown")) throw cause;
      this.#files.forget(key);
      return await this.submit(request);
    }
  }

  async #submit(request: OpenRunRequest): Promise<RunAccepted> {
    return await this.#client.json("/runs", { method: "POST", json: request });
  }

  /**
   * Ends the run within one step; a run that is over or forgotten is left alone.
   * @param attempt later attempts go on, and this one does not begin if it comes later.
   * @default whichever there is
   */
  async cancel(id: string, attempt?: number): Promise<void> {
    const query = attempt === undefined ? {} : { attempt: String(attempt) };
    const response = await this.#client.fetch(`/runs/${id}`, { method: "DELETE", query, timeoutMs: 5000 });
    await response.body?.cancel();
  }

  /** Returns whether the worker is at this run. A worker that cannot be reached is not. */
  async isMaking(id: string): Promise<boolean> {
    try {
      const { finished } = await this.#client.json<{ finished: boolean }>(`/runs/${id}`, { timeoutMs: 2000 });
      return !finished;
    } catch {
      return false;
    }
  }

  /** Asks the worker for its models, queue and device. @throws {ApiError} 503 if it does not tell in time */
  async status(): Promise<WorkerStatus> {
    const response = await this.#client.fetch("/readyz", { timeoutMs: 2000 });
    try {
      const { queue_depth = 0, running = false } = await response.json();
      return { ready: response.ok, queue_depth: Number(queue_depth), running: running === true };
    } catch (cause) {
      throw this.#client.unavailable(cause);
    }
  }

  async ready(): Promise<boolean> {
    return (await this.status()).ready;
  }

  /**
   * Events after the one with id `after`, until the run or the connection ends.
   * @throws {ApiError} 404, 503
   */
  async *events(
    id: string,
    { after, signal }: { after: number; signal: AbortSignal },
  ): AsyncGenerator<NumberedEvent> {
    const idleMs = this.#idleMs;
    // The stream begins at once, whatever the run is at.
    using watch = new SilenceWatch({ firstMs: Math.min(this.#answerMs, idleMs), idleMs, signal });
    try {
      const response = await this.#client.ok(`/runs/${id}/events`, {
        headers: { "last-event-id": String(after) },
        signal: watch.signal,
      });
      if (response.body === null) return;
      const messages = response.body
        .pipeThrough(new TextDecoderStream())
        .pipeThrough(watch.listen())
        .pipeThrough(new EventSourceParserStream());
      for await (const { id, data } of messages) yield { id: Number(id), event: JSON.parse(data) };
    } catch (cause) {
      throw cause instanceof ApiError ? cause : this.#client.unavailable(cause);
    }
  }
}
