// Jobs while what knows of them cannot be asked.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { MemoryResultStore } from "../../../protocol/store/results/memory_result_store.ts";
import { MemoryRunLog } from "../../../protocol/store/run_log/memory_run_log.ts";
import type { OpenRun } from "../../../protocol/store/run_log/run_log.ts";
import { StoreAwayError } from "../../../protocol/store/store_away_error.ts";
import type { AppOptions } from "../../../routes/app.ts";
import { FakePipeline } from "../../gpu-worker/http/fake_pipeline.ts";
import { eventsOf, startJobs } from "./jobs.ts";
import { until } from "../../until.ts";
import { webhookReceiver } from "./webhook_receiver.ts";

describe("jobs while the store is away", () => {
  /** Runs and results that cannot be asked after while `isAway` says so. */
  function startAway(isAway: () => boolean, options: Partial<AppOptions> = {}) {
    const ask = <T>(answer: () => Promise<T>) => isAway() ? Promise.reject(new StoreAwayError()) : answer();
    class Runs extends MemoryRunLog {
      override open = (run: OpenRun) => ask(() => super.open(run));
      override attach = (...args: Parameters<MemoryRunLog["attach"]>) => ask(() => super.attach(...args));
      override brief = (id: string) => ask(() => super.brief(id));
      override last = (id: string) => ask(() => super.last(id));
    }
    const results = new MemoryResultStore();
    return startJobs(new FakePipeline(), {
      runs: new Runs(),
      results: {
        get: (key) => ask(() => results.get(key)),
        has: (key) => ask(() => results.has(key)),
        set: (key, result) => results.set(key, result),
      },
      ...options,
    });
  }

  it("answers 503 instead of guessing a job's status, and its keeper reports no failure", async () => {
    let isAway = false;
    const { told, webhooks } = webhookReceiver();
    const { worker, ask, generate } = startAway(() => isAway, { webhooks });
    await using _worker = worker;
    const webhook = "https://client.example/hook";
    const { id } = await (await generate({ background: true, seed: 1, webhook })).json();
    isAway = true;
    for (const path of [`/jobs/${id}`, `/jobs/${id}/events`]) {
      const answer = await ask("GET", path);
      const { error } = await answer.json();
      assert.deepEqual([answer.status, error.code, answer.headers.get("retry-after")], [
        503,
        "store_unavailable",
        "2",
      ]);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    isAway = false;
    await until(() => told.length > 0);
    assert.deepEqual(told, ["job.completed"]);
  });

  it("refuses a job before anything begins, and makes pictures for clients that wait", async () => {
    const { worker, generate } = startAway(() => true);
    await using _worker = worker;
    const refused = await generate({ background: true, seed: 1 });
    assert.deepEqual([refused.status, (await refused.json()).error.code], [503, "store_unavailable"]);
    assert.equal((await generate({ seed: 1 })).status, 200);
    const stream = await (await generate({ seed: 2, stream: true })).text();
    assert.equal(eventsOf(stream).at(-1)!.event, "image_generation.completed");
    assert.equal(worker.queue.depth, 0);
  });
});
