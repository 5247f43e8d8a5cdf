// A result on its way to one viewer: the events of a run, or a stored result.
import type { StoredResult } from "../../protocol/store/results/result_store.ts";
import type { CompletedEvent, NumberedEvent } from "../../protocol/wire/run_event.ts";
import type { LocalRun } from "./local_run.ts";

/** A result on its way to one viewer. */
export interface RunView {
  /** Id of the run. Undefined for a stored result. */
  id: string | undefined;
  cache: "hit" | "joined" | "miss";
  /** The event of a stored result, which says all about it. */
  result?: CompletedEvent;
  /**
   * Yields the events after the one with id `after`. Ends after the final one, or early and quietly on
   * `signal`.
   * @throws {ApiError} if the run is lost.
   */
  events(signal: AbortSignal, after?: number): AsyncGenerator<NumberedEvent>;
  /**
   * Leaves the run. The last viewer to leave an unfinished run cancels it, unless one comes within `graceMs`.
   * After an outage of the store it is kept longer.
   */
  close(graceMs?: number): void;
}

/** Receipts say how this viewer came by the result. */
export function eventsOf(local: Pick<LocalRun, "events">, cache: RunView["cache"]): RunView["events"] {
  return async function* (signal, after) {
    for await (const { id, event } of local.events(signal, after)) {
      yield event.type === "completed" && cache !== "miss"
        ? { id, event: { ...event, receipt: { ...event.receipt, cache } } }
        : { id, event };
    }
  };
}

export function storedRun({ stored_at: _at, ...result }: StoredResult): RunView {
  const event = {
    type: "completed" as const,
    ...result,
    receipt: { ...result.receipt, cache: "hit" as const },
  };
  return {
    id: undefined,
    cache: "hit",
    result: event,
    async *events(_signal, after = 0) {
      yield await Promise.resolve({ id: after + 1, event });
    },
    close() {},
  };
}
