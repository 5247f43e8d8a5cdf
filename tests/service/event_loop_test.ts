// The worker's event loop stays free while the device works: seen in the rhythm of comments on an idle stream.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { openPipeline } from "../../gpu-worker/pipelines/open_pipeline.ts";
import { WorkerClient } from "../../routes/runs/worker_client.ts";
import { startTestWorker } from "../http/test_worker.ts";

const HEARTBEAT_MS = 20;

describe("executeRun()", () => {
  it("comments keep their rhythm during a run of the real pipeline", async () => {
    const pipeline = await openPipeline("models/emoji");
    await using worker = startTestWorker([pipeline], { heartbeatMs: HEARTBEAT_MS });
    const client = new WorkerClient({ url: worker.url });
    const fields = {
      model: "models/emoji",
      prompt: "red heart",
      steps: 60,
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
    assert.equal(steps, 60);
    // All of them on an idle machine; a loop blocked by the device would send one at the end of a run, or one a step.
    assert.ok(
      comments > 0.5 * due,
      `${comments} comments of ${due.toFixed(0)} in ${elapsedMs.toFixed(0)} ms`,
    );
  });
});
