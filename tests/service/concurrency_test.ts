// A worker with several runs on its device.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import type { RunEvent } from "../../protocol/run_event.ts";
import { WorkerClient } from "../../routes/runs/worker_client.ts";
import { readMetric, type RunningTask, startTask } from "./service.ts";

const { signal } = new AbortController();

describe("worker --concurrency", () => {
  let worker: RunningTask;
  let client: WorkerClient;
  before(async () => {
    worker = await startTask("worker", {
      args: ["--port", "0", "--concurrency", "2"],
      until: /"message":"listening","url":"([^"]+)"/,
    });
    client = new WorkerClient({ url: worker.found });
  });
  after(() => worker[Symbol.asyncDispose]());

  const submit = (seed: number, steps: number) =>
    client.submit({ model: "models/emoji", prompt: "a crab", seed, steps, spectrum: { method: "none" } });
  const follow = async (id: string) => {
    const events: RunEvent[] = [];
    for await (const { event } of client.events(id, { after: 0, signal })) events.push(event);
    return events.at(-1)!;
  };

  it("has two runs under way, ends one that is cancelled, and draws the other as if it were alone", async () => {
    const alone = await follow((await submit(1, 200)).id);
    const long = await submit(2, 1000);
    const cancelled = follow(long.id);
    const short = await submit(1, 200);
    assert.deepEqual([long.position, short.position], [0, 0]);
    const waiting = await submit(3, 2);
    assert.equal(waiting.position, 2);
    assert.equal(await readMetric(worker.found, "spectrum_running"), 2);

    const completed = await follow(short.id);
    assert.ok(completed.type === "completed" && alone.type === "completed");
    assert.equal(completed.b64_json, alone.b64_json);
    assert.deepEqual(completed.receipt.forecast_errors, alone.receipt.forecast_errors);
    assert.equal((await follow(waiting.id)).type, "completed");
    await client.cancel(long.id);
    assert.equal((await cancelled).type, "cancelled");
  });
});
