// The presentation of one kind of job to clients. Everything else about jobs is the same for all kinds.
import type { ApiError } from "../../protocol/wire/api_error.ts";
import type { CompletedEvent } from "../../protocol/wire/run_event.ts";
import type { SseMessage } from "../../protocol/http/stream_events.ts";
import type { PictureEvent } from "../runs/merge_pictures.ts";
import type { JobRecord } from "./job_record.ts";

export interface PresentOptions {
  /** Origin under which clients reach this edge. */
  origin: string | undefined;
  /** Receives an error that ends a stream early. */
  onError?: (error: ApiError) => void;
}

export interface JobPresenter {
  /** Returns `result` of a completed job. A presenter that does not need its bytes does not read them. */
  result(
    job: JobRecord,
    results: () => Promise<readonly CompletedEvent[]>,
    options: PresentOptions,
  ): Promise<unknown>;
  /** Returns whether `result` says the same whenever it is asked for. */
  isLasting(job: JobRecord): boolean;
  /** Yields a job's events as clients read them. Never throws. */
  messages(
    job: JobRecord,
    events: AsyncIterable<PictureEvent>,
    options: PresentOptions,
  ): AsyncIterable<SseMessage>;
}

/** Presenters by `kind`. */
export type JobPresenters = Readonly<Record<string, JobPresenter>>;
