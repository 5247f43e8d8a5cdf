// Told to stop: the worker finishes what it has begun, `deno task start` leaves nothing behind.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import process from "node:process";
import type { RunEvent } from "../../protocol/wire/run_event.ts";
import { ApiError } from "../../protocol/wire/api_error.ts";
import { WorkerClient } from "../../routes/runs/worker_client.ts";
import { runTask } from "../gpu-worker/cli/run_task.ts";
import { until } from "../until.ts";
import { startDeno, startService, startTask } from "./service.ts";

const LISTENING = /"message":"listening","url":"([^"]+)"/;
const RUN = { model: "models/emoji", prompt: "red heart", spectrum: { method: "none" as const } };

describe("shutdown", () => {
  it("the worker refuses new runs after SIGTERM, finishes the current one and ends with 0", async () => {
    await using worker = await startTask("worker", { args: ["--port", "0"], until: LISTENING });
    const client = new WorkerClient({ url: worker.found });
    // Long enough to be under way still when the signal and the answers to it have travelled.
    const current = await client.submit({ ...RUN, seed: 1, steps: 600 });
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

  it("`deno task start` ends edge and worker in the middle of a run after SIGINT", async () => {
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

  it("`deno task start` ends with its parent, although that was killed", async () => {
    const service = await startService();
    const edge = /"process":"edge","message":"listening","url":"[^"]+","pid":(\d+)/.exec(
      service.lines.join("\n"),
    )!;
    service.process.kill("SIGKILL");
    await service.process.status;
    await until(() => isGone(Number(edge[1])), { within: 30_000, every: 100 });
    for (const url of [service.url, service.workerUrl]) await assert.rejects(fetch(url), TypeError);
  });

  it("edge and worker end when start itself is killed", async () => {
    const service = await startDeno(
      ["run", "--quiet", "-P=launcher", "deploy/start.ts", "--port", "0", "--models", "models/emoji"],
      { until: /^Spectrum Edge is at (\S+)/ },
    );
    const pids = [...service.lines.join("\n").matchAll(/"message":"listening".*?"pid":(\d+)/g)];
    assert.equal(pids.length, 2);
    service.process.kill("SIGKILL");
    await service.process.status;
    for (const [, pid] of pids) await until(() => isGone(Number(pid)), { within: 30_000, every: 100 });
  });

  it("`deno task start` says at once that its port is in use", async () => {
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { code, stderr } = await runTask("start", ["--port", `${taken.addr.port}`]);
    assert.equal(code, 1);
    assert.equal(
      stderr,
      `start: another program uses port ${taken.addr.port}. Try another, or 0 for a free one.\n`,
    );
  });

  it("`deno task batches` ends on SIGTERM while Redis is away", async () => {
    await using batches = await startTask("batches", {
      args: ["--port", "0", "--redis", "redis://127.0.0.1:1"],
      env: { SPECTRUM_WORKERS: "http://127.0.0.1:1" },
      until: LISTENING,
    });
    batches.process.kill("SIGTERM");
    const late = AbortSignal.timeout(20_000);
    const ended = await Promise.race([
      batches.process.status,
      new Promise<undefined>((resolve) => late.addEventListener("abort", () => resolve(undefined))),
    ]);
    assert.equal(ended?.code, 0);
  });

  const PROGRAMS: [file: string, args: string[], env: Record<string, string>][] = [
    ["main.ts", [], { PORT: "0", SPECTRUM_WORKERS: "http://127.0.0.1:1" }],
    ["gpu-worker/main.ts", ["--port", "0"], {}],
    ["deploy/batches/main.ts", ["--port", "0", "--redis", "redis://127.0.0.1:1"], {
      SPECTRUM_WORKERS: "http://127.0.0.1:1",
    }],
    ["deploy/redis_rest/main.ts", ["--port", "0", "--redis", "redis://127.0.0.1:1"], {}],
  ];
  for (const [file, args, env] of PROGRAMS) {
    it(`${file} ends with 0 if SIGTERM comes as soon as it says that it listens`, async () => {
      const { code } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--no-check", "--preload=tests/service/end_when_listening.ts", file, ...args],
        env,
        stdout: "null",
        signal: AbortSignal.timeout(120_000),
      }).output();
      assert.equal(code, 0);
    });
  }

  it("`deno task start` ends when the worker cannot start", async () => {
    await assert.rejects(
      startTask("start", {
        args: ["--port", "0", "--models", "/nowhere"],
        until: /^Spectrum Edge is at (\S+)/,
      }),
      /ended early/,
    );
  });
});

function isGone(pid: number): boolean {
  try {
    // Signal 0 asks whether the process is there.
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}
