import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";
import { FakePipeline } from "./fake_pipeline.ts";
import { Run } from "../../../gpu-worker/http/run.ts";
import { SharedRuns } from "../../../gpu-worker/http/shared_runs.ts";
import { MemoryResultStore } from "../../../protocol/store/results/memory_result_store.ts";
import { MemoryRunLog } from "../../../protocol/store/run_log/memory_run_log.ts";
import { RENEW_MS } from "../../../protocol/store/run_log/run_log.ts";
import { runRequestSchema } from "../../../protocol/wire/run_request.ts";
import { FakeClock } from "../../protocol/process/fake_clock.ts";
import { until } from "../../until.ts";

const PATIENCE_MS = 5000;

/** A run log that is away when the test says so. */
class Runs extends MemoryRunLog {
  isAway = false;
  appends = 0;

  override append(...args: Parameters<MemoryRunLog["append"]>) {
    this.appends++;
    return this.isAway ? Promise.reject(new Error("away")) : super.append(...args);
  }
}

async function start() {
  const clock = new FakeClock();
  const runs = new Runs();
  const logged: string[] = [];
  const shared = new SharedRuns({
    runs,
    results: new MemoryResultStore(),
    log: (_level, message) => void logged.push(message),
    patienceMs: PATIENCE_MS,
    clock,
  });
  const id = crypto.randomUUID();
  const viewing = { viewer: "a", viewerMs: 1e9, previews: 0, finishedToo: true, keepMs: 60_000 };
  await runs.open({ name: undefined, id, request: "{}", ...viewing });
  const request = runRequestSchema.parse({ model: "m", prompt: "x", seed: 1, shared: { id, attempt: 1 } });
  const completed = completeRequest({ prompt: "x", seed: 7 }, new FakePipeline().description);
  const run = new Run(request, { completed, unwatchedMs: 10_000, clock });
  shared.share(run);
  return { clock, runs, logged, shared, id, run };
}

describe("SharedRuns", () => {
  it("writes a run's events, and learns at its next renewal that nobody waits any more", async () => {
    const { clock, runs, id, run } = await start();
    run.emit({ type: "started" });
    await until(async () => (await runs.read(id, 0))?.events.length === 1);
    clock.advance(RENEW_MS);
    await until(() => clock.waiting > 0);
    assert.equal(run.signal.aborted, false);
    await runs.leave(id, "a");
    clock.advance(RENEW_MS);
    await until(() => run.signal.aborted);
    assert.equal(run.signal.reason, "requested");
  });

  it("tries again while the log is away, and ends with the run once it is back", async () => {
    const { clock, runs, logged, shared, id, run } = await start();
    runs.isAway = true;
    run.emit({ type: "cancelled", reason: "requested" });
    await until(() => (clock.advance(500), runs.appends >= 3));
    assert.ok(logged.includes("run log is away"));
    runs.isAway = false;
    const settled = shared.settled(60_000);
    await until(async () => (clock.advance(500), (await runs.read(id, 0))?.state === "cancelled"));
    await settled;
  });

  it("does not end a run whose attempt was given up while the log could not be told", async () => {
    const { clock, runs, shared, id, run } = await start();
    run.emit({ type: "started" });
    run.emit({ type: "cancelled", reason: "superseded" });
    const settled = shared.settled(60_000);
    await until(async () => (clock.advance(500), (await runs.read(id, 0))?.events.length === 1));
    await settled;
    assert.equal((await runs.read(id, 0))!.state, "open");
    assert.deepEqual(await runs.orphans(), []);
  });

  it("gives a finished run up when its patience is over", async () => {
    const { clock, runs, run, shared } = await start();
    runs.isAway = true;
    run.emit({ type: "cancelled", reason: "requested" });
    let isSettled = false;
    shared.settled(1e9).then(() => isSettled = true);
    await until(() => (clock.advance(500), isSettled));
    assert.ok(clock.now() > PATIENCE_MS, `${clock.now()} ms`);
    const { appends } = runs;
    clock.advance(PATIENCE_MS);
    assert.equal(runs.appends, appends);
  });
});
