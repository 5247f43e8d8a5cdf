// A worker with several runs on its device.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { RealWorker } from "./real_worker.ts";
import { readMetric } from "./service.ts";

describe("worker --concurrency", () => {
  let worker: RealWorker;
  before(async () => {
    worker = await RealWorker.start(["--concurrency", "2"]);
  });
  after(() => worker[Symbol.asyncDispose]());

  const submit = (seed: number, steps: number) =>
    worker.submit(seed, { steps, spectrum: { method: "none" } });

  it("has two runs under way, ends the cancelled one, and draws the other as if it were alone", async () => {
    const alone = await worker.last((await submit(1, 200)).id);
    const long = await submit(2, 1000);
    const cancelled = worker.last(long.id);
    const short = await submit(1, 200);
    assert.deepEqual([long.position, short.position], [0, 0]);
    const waiting = await submit(3, 2);
    // Followed from the start: nobody's run would be cancelled while a slow machine draws the others.
    const waited = worker.last(waiting.id);
    assert.equal(waiting.position, 2);
    assert.equal(await readMetric(worker.url, "spectrum_running"), 2);

    const completed = await worker.last(short.id);
    assert.ok(completed.type === "completed" && alone.type === "completed");
    assert.equal(completed.b64_json, alone.b64_json);
    assert.deepEqual(completed.receipt.forecast_errors, alone.receipt.forecast_errors);
    assert.equal((await waited).type, "completed");
    await worker.client.cancel(long.id);
    assert.equal((await cancelled).type, "cancelled");
  });
});
