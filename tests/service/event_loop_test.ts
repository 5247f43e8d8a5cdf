// The worker's event loop stays free while the device works: seen in the rhythm of
// comments on an idle stream.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { openPipeline } from "../../gpu-worker/model/open_pipeline.ts";
import { WorkerClient } from "../../routes/runs/worker_client.ts";
import { startTestWorker } from "../gpu-worker/http/test_worker.ts";

const HEARTBEAT_MS = 20;

describe("executeRun()", () => {
  it("comments keep their rhythm during a run of the real pipeline", async () => {
    const pipeline = await openPipeline("models/emoji");
    await using worker = startTestWorker([pipeline], { heartbeatMs: HEARTBEAT_MS });
    const client = new WorkerClient({ url: worker.url });
    // Large enough that a pass is many heartbeats long.
    const size = { width: 256, height: 256 };
    const fields = {
      model: "models/emoji",
      prompt: "x",
      steps: 4,
      ...size,
      spectrum: { method: "none" as const },
    };
    const { id } = await client.submit({ ...fields, seed: 1 });
    // This one waits behind it: all that its stream says meanwhile are comments.
    const waiting = await client.submit({ ...fields, seed: 2 });
    const stop = new AbortController();
    const idle = await fetch(`${worker.url}/runs/${waiting.id}/events`, { signal: stop.signal });
    let text = "";
    const reading = (async () => {
      for await (const chunk of idle.body!.pipeThrough(new TextDecoderStream())) text += chunk;
    })().catch(() => {});

    const startedAt = performance.now();
    let steps = 0;
    for await (const { event } of client.events(id, { after: 0, signal: new AbortController().signal })) {
      if (event.type === "step") steps++;
    }
    const elapsedMs = performance.now() - startedAt;
    stop.abort();
    await reading;
    await client.cancel(waiting.id);

    const comments = (text.match(/^:$/gm) ?? []).length;
    const due = elapsedMs / HEARTBEAT_MS;
    console.log(`${comments} comments of ${due.toFixed(0)} due`);
    assert.equal(steps, 4);
    // All of them on an idle machine, half on one ten times overloaded; a loop that the device blocks
    // sends a few, between passes.
    assert.ok(comments > 0.3 * due, `${comments} comments of ${due} due`);
  });
});
