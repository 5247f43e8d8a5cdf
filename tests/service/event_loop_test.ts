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
    // Large enough that a pass is many heartbeats long, on a fast machine too.
    const size = { width: 384, height: 384 };
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

    let steps = 0;
    for await (const { event } of client.events(id, { after: 0, signal: new AbortController().signal })) {
      if (event.type === "step") steps++;
    }
    stop.abort();
    await reading;
    await client.cancel(waiting.id);

    const comments = (text.match(/^:$/gm) ?? []).length;
    console.log(`${comments} comments in ${steps} steps`);
    assert.equal(steps, 4);
    // A loop that the device blocks sends one or two between passes.
    assert.ok(comments > 4 * steps, `${comments} comments in ${steps} steps`);
  });
});
