// Requests that wait together are made together.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import type { RunEvent } from "../../protocol/run_event.ts";
import type { OpenRunRequest } from "../../protocol/run_request.ts";
import { WorkerClient } from "../../routes/runs/worker_client.ts";
import { readMetric, type RunningTask, startTask } from "./service.ts";

const { signal } = new AbortController();

describe("worker --max-batch", () => {
  let worker: RunningTask;
  let client: WorkerClient;
  before(async () => {
    worker = await startTask("worker", {
      args: ["--port", "0", "--max-batch", "3"],
      until: /"message":"listening","url":"([^"]+)"/,
    });
    client = new WorkerClient({ url: worker.found });
  });
  after(() => worker[Symbol.asyncDispose]());

  const submit = (seed: number, fields: Partial<OpenRunRequest> = {}) =>
    client.submit({ model: "models/emoji", prompt: "a crab", seed, ...fields });
  const follow = async (id: string, onEvent: (event: RunEvent) => unknown = () => {}) => {
    const events: RunEvent[] = [];
    for await (const { event } of client.events(id, { after: 0, signal })) {
      events.push(event);
      await onEvent(event);
    }
    return events;
  };
  const last = async (...args: Parameters<typeof follow>) => (await follow(...args)).at(-1)!;

  it("draws what each request alone would draw, says how many were drawn together, and loses none to a cancelled one", async () => {
    const alone = await last((await submit(1)).id);
    const long = await submit(9, { steps: 1000, spectrum: { method: "none" } });
    const runs = [await submit(1), await submit(2, { previews: 2 }), await submit(3), await submit(4)];
    const cancelled = last(runs[2]!.id, ({ type }) => type === "step" && client.cancel(runs[2]!.id));
    await client.cancel(long.id);
    const [first, second, fourth] = await Promise.all([0, 1, 3].map((i) => follow(runs[i]!.id)));
    const ends = [first, second, fourth].map((events) => events!.at(-1)!);
    assert.ok(alone.type === "completed");
    const batches = [alone, ...ends].map((end) => end.type === "completed" && end.receipt.batch);
    assert.deepEqual(batches, [undefined, 3, 3, undefined]);
    assert.ok(ends[0]!.type === "completed" && ends[0]!.b64_json === alone.b64_json);
    assert.equal(second!.filter(({ type }) => type === "preview").length, 2);
    assert.equal((await cancelled).type, "cancelled");
    assert.equal(await readMetric(worker.found, "spectrum_run_batch_size_count"), 4);
    assert.equal(await readMetric(worker.found, "spectrum_run_batch_size_sum"), 8);
  });
});
