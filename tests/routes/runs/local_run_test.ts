import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import type { RunLog, RunPage } from "../../../protocol/store/run_log/run_log.ts";
import { StoreAwayError } from "../../../protocol/store/store_away_error.ts";
import type { NumberedEvent } from "../../../protocol/wire/run_event.ts";
import { LocalRun } from "../../../routes/runs/local_run.ts";
import type { PooledWorker } from "../../../routes/runs/worker_pool.ts";

const FAILED = {
  type: "failed" as const,
  status: 500,
  error: { message: "m", type: "t", param: null, code: "c" },
};
const PAGE: RunPage = { state: "failed", worker: undefined, events: [{ id: 1, event: FAILED }] };

describe("LocalRun", () => {
  it("waits for a log that is away, though no worker is known", async () => {
    const { log, reads } = logThat((read) => read < 20 ? Promise.reject(new StoreAwayError()) : PAGE);
    assert.deepEqual(await follow(log), ["failed"]);
    assert.equal(reads(), 21);
  });

  it("gives up a log that stays away", async () => {
    const { log, reads } = logThat(() => Promise.reject(new StoreAwayError()));
    await assert.rejects(follow(log), { code: "worker_lost" });
    assert.equal(reads(), 61);
  });

  it("gives up at once a run that the log has forgotten", async () => {
    const { log, reads } = logThat(() => undefined);
    await assert.rejects(follow(log), { code: "worker_lost" });
    assert.equal(reads(), 3);
  });

  it("goes on after a worker that was told while the log was away that another has the run", async () => {
    const superseded = { id: 2, event: { type: "cancelled" as const, reason: "superseded" as const } };
    const { log } = logThat((read) => read < 3 ? Promise.reject(new StoreAwayError()) : PAGE);
    const run = new LocalRun({
      pool: { client: () => workerThatSays([superseded]) },
      reconnectDelaysMs: [0],
    });
    run.worker = "http://worker";
    assert.deepEqual(await follow(log, run), ["failed"]);
  });
});

function workerThatSays(events: NumberedEvent[]): PooledWorker {
  return { events: () => ReadableStream.from(events) } as unknown as PooledWorker;
}

function logThat(answer: (read: number) => RunPage | undefined | Promise<never>) {
  let count = 0;
  const log = { shared: true, pollMs: 0, read: async () => await answer(count++) } as unknown as RunLog;
  return { log, reads: () => count };
}

async function follow(
  log: RunLog,
  run: LocalRun = new LocalRun({ pool: { client: () => undefined }, reconnectDelaysMs: [0, 0] }),
): Promise<string[]> {
  run.feed({ id: "r", log });
  const types: string[] = [];
  for await (const { event } of run.events(AbortSignal.timeout(5000))) types.push(event.type);
  return types;
}
