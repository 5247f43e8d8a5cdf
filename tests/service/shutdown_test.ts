// Told to stop: the worker finishes what it has begun, `deno task start` leaves nothing behind.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import type { RunEvent } from "../../protocol/wire/run_event.ts";
import { ApiError } from "../../protocol/wire/api_error.ts";
import { WorkerClient } from "../../routes/runs/worker_client.ts";
import { startService, startTask } from "./service.ts";

const LISTENING = /"message":"listening","url":"([^"]+)"/;
const RUN = { model: "models/emoji", prompt: "red heart", spectrum: { method: "none" as const } };

describe("shutdown", () => {
  it("SIGTERM: the worker refuses new runs, finishes the current one and ends with 0", async () => {
    await using worker = await startTask("worker", { args: ["--port", "0"], until: LISTENING });
    const client = new WorkerClient({ url: worker.found });
    const current = await client.submit({ ...RUN, seed: 1, steps: 60 });
    const waiting = await client.submit({ ...RUN, seed: 2 });
    const last: Record<string, RunEvent> = {};
    const follow = async (id: string) => {
      for await (const { event } of client.events(id, { after: 0, signal: new AbortController().signal })) {
        if (event.type === "step" && event.step_index === 0) worker.process.kill("SIGTERM");
        last[id] = event;
        if (event.type === "cancelled") {
          // It drains by now, and still listens.
          await assert.rejects(
            client.submit({ ...RUN, seed: 3 }),
            (error) => error instanceof ApiError && error.code === "worker_draining",
          );
        }
      }
    };
    await Promise.all([follow(current.id), follow(waiting.id)]);
    assert.deepEqual([last[current.id]!.type, last[waiting.id]!.type], ["completed", "cancelled"]);
    assert.equal((await worker.process.status).code, 0);
  });

  it("SIGINT: `deno task start` ends edge and worker in the middle of a run", async () => {
    const service = await startService();
    const response = await fetch(`${service.url}/v1/images/generations`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ prompt: "x", steps: 1000, stream: true, progress: true }),
    });
    const reader = response.body!.getReader();
    await reader.read();
    await reader.read();
    await service[Symbol.asyncDispose]();
    assert.equal((await service.process.status).code, 0);
    await reader.cancel().catch(() => {});
    for (const url of [service.url, service.workerUrl]) await assert.rejects(fetch(url), TypeError);
  });

  it("a worker that cannot start takes `deno task start` with it", async () => {
    await assert.rejects(
      startTask("start", {
        args: ["--port", "0", "--models", "/nowhere"],
        until: /^Spectrum Edge is at (\S+)/,
      }),
      /ended early/,
    );
  });
});
