// Several runs on the device at once.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import type { Run } from "../../gpu-worker/http/run.ts";
import { RunQueue } from "../../gpu-worker/http/run_queue.ts";
import { runRequestSchema } from "../../protocol/run_request.ts";

const request = (model = "fake") => runRequestSchema.parse({ model, prompt: "x", seed: 7 });

/** A queue whose runs end when the test says so, or when they are cancelled. */
function openQueue(concurrency?: number) {
  const begun: Run[] = [];
  const ends = new Map<Run, () => void>();
  const queue = new RunQueue({
    ...concurrency !== undefined && { concurrency },
    execute: async (run) => {
      run.emit({ type: "started" });
      begun.push(run);
      await new Promise<void>((resolve) => {
        ends.set(run, resolve);
        run.signal.addEventListener("abort", () => resolve());
      });
      run.emit({ type: "cancelled", reason: "requested" });
    },
  });
  const submit = (model?: string) => queue.submit(request(model));
  return { queue, begun, submit, end: (run: Run) => ends.get(run)!() };
}

/** Places in the queue that a run was told. */
async function places(run: Run): Promise<number[]> {
  return (await run.next(0)).flatMap(({ event }) => event.type === "queued" ? [event.position] : []);
}

describe("RunQueue", () => {
  it("has one run on the device at a time", async () => {
    const { queue, begun, submit, end } = openQueue();
    const [first, second] = [submit(), submit()];
    assert.deepEqual([first.position, second.position], [0, 1]);
    assert.deepEqual(begun, [first.run]);
    end(first.run);
    await second.run.begun;
    assert.deepEqual(begun, [first.run, second.run]);
    await queue.drain({ cancelCurrent: true });
  });

  it("has as many as concurrency allows, and tells the others how many go before", async () => {
    const { queue, begun, submit, end } = openQueue(2);
    const runs = [submit(), submit(), submit(), submit()];
    assert.deepEqual(runs.map(({ position }) => position), [0, 0, 2, 3]);
    assert.equal(queue.running, 2);
    assert.equal(queue.depth, 2);
    end(runs[1]!.run);
    await runs[2]!.run.begun;
    assert.deepEqual(begun, [runs[0], runs[1], runs[2]].map((submitted) => submitted!.run));
    assert.equal(queue.running, 2);
    assert.deepEqual(await places(runs[3]!.run), [3, 2]);
    await queue.drain({ cancelCurrent: true });
  });

  it("keeps models apart, in the order of the queue", async () => {
    const { queue, begun, submit, end } = openQueue(2);
    const first = submit("a");
    const other = submit("b");
    const third = submit("a");
    assert.deepEqual([other.position, third.position], [1, 2]);
    assert.deepEqual(begun, [first.run]);
    end(first.run);
    await other.run.begun;
    assert.deepEqual(begun, [first.run, other.run]);
    end(other.run);
    await third.run.begun;
    await queue.drain({ cancelCurrent: true });
  });

  it("drain() ends all and waits for all", async () => {
    const { queue, submit } = openQueue(2);
    const runs = [submit(), submit(), submit()];
    const drained = queue.drain();
    assert.ok(runs[2]!.run.finished);
    assert.equal(queue.running, 2);
    runs[0]!.run.cancel("requested");
    runs[1]!.run.cancel("requested");
    await drained;
    assert.ok(runs.every(({ run }) => run.finished));
    assert.equal(queue.busy, false);
  });
});
