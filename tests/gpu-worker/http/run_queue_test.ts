// Several runs on the device at once.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import type { Run } from "../../../gpu-worker/http/run.ts";
import { RunQueue, type RunQueueOptions } from "../../../gpu-worker/http/run_queue.ts";
import { FakeClock } from "../../protocol/process/fake_clock.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";
import { FakePipeline } from "./fake_pipeline.ts";
import { runRequestSchema } from "../../../protocol/wire/run_request.ts";

const request = (model = "fake") => runRequestSchema.parse({ model, prompt: "x", seed: 7 });

const { description } = new FakePipeline();
/** The queue reads neither of them. */
const completed = completeRequest({ prompt: "x", seed: 7 }, description);

/** Returns a queue whose runs end when the test says so, or when they are cancelled. */
function openQueue(concurrency?: number) {
  const begun: Run[] = [];
  const ends = new Map<Run, () => void>();
  const queue = new RunQueue({
    ...concurrency !== undefined && { concurrency },
    execute: async ([run]) => {
      assert(run);
      run.emit({ type: "started" });
      begun.push(run);
      await new Promise<void>((resolve) => {
        ends.set(run, resolve);
        run.signal.addEventListener("abort", () => resolve());
      });
      run.emit({ type: "cancelled", reason: "requested" });
    },
  });
  const submit = (model?: string) => queue.submit(request(model), { completed });
  return { queue, begun, submit, end: (run: Run) => ends.get(run)!() };
}

/** Returns the queue positions that a run has received. */
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

  it("begins no attempt that its edge gave up before it came, and later ones all the same", async () => {
    const { queue, begun } = openQueue();
    const submit = (attempt: number) =>
      queue.submit(
        { ...request(), shared: { id: "run-1", attempt, after: 0, log: false, store: undefined } },
        { completed },
      );
    queue.giveUp({ id: "run-1", attempt: 2 });
    for (const attempt of [1, 2]) assert.throws(() => submit(attempt), { status: 409, code: "superseded" });
    const { run } = submit(3);
    assert.deepEqual(begun, [run]);
    // A word of an attempt before leaves it alone.
    queue.giveUp({ id: "run-1", attempt: 2 });
    assert.equal(run.signal.aborted, false);
    queue.giveUp({ id: "run-1", attempt: 3 });
    assert.equal(run.signal.reason, "superseded");
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

  it("begins the run that a cancelled run held up", async () => {
    const { queue, begun, submit } = openQueue(2);
    const first = submit("a");
    const other = submit("b");
    const third = submit("a");
    other.run.cancel("requested");
    assert.deepEqual(begun, [first.run, third.run]);
    await queue.drain({ cancelCurrent: true });
  });

  it("drain() begins none of the runs that it cancels", async () => {
    const { queue, begun, submit } = openQueue(2);
    const first = submit("a");
    const waiting = [submit("b"), submit("a"), submit("a")];
    await queue.drain({ cancelCurrent: true });
    assert.deepEqual(begun, [first.run]);
    assert.ok(waiting.every(({ run }) => run.finished));
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

  describe("with owners", () => {
    const [A, B, C] = ["a", "b", "c"].map((name) => name.repeat(16)) as [string, string, string];

    /** Returns a queue whose device is taken, and what begins there. */
    function openShared(options: Partial<RunQueueOptions> = {}) {
      const begun: (readonly Run[])[] = [];
      const ends: (() => void)[] = [];
      const queue = new RunQueue({
        execute: async (runs) => {
          begun.push(runs);
          for (const run of runs) run.emit({ type: "started" });
          await new Promise<void>((resolve) => ends.push(resolve));
          for (const run of runs) run.emit({ type: "cancelled", reason: "requested" });
        },
        ...options,
      });
      const submit = (owner: string, { background = false, key = "" } = {}) =>
        queue.submit({ ...request(), owner, background }, {
          completed,
          ...key !== "" && { batch: { key, limit: 8 } },
        });
      submit("0".repeat(16));
      /** Ends runs until none is left. Returns the owners of the others, in the order of their turns. */
      const serve = async () => {
        for (let i = 0; i < ends.length; i++) {
          ends[i]!();
          await new Promise<void>((resolve) => setTimeout(resolve));
        }
        return begun.slice(1).map((runs) =>
          runs.map(({ request }) => request.owner![0]! + (request.background ? "j" : "")).join("+")
        );
      };
      return { queue, submit, serve };
    }
    const FULL = { status: 429, code: "queue_full" };

    it("owners take turns, whoever came first, and each has its own order", async () => {
      const { submit, serve } = openShared();
      for (let i = 0; i < 4; i++) submit(A);
      assert.equal(submit(B).position, 2);
      submit(B);
      submit(C);
      assert.deepEqual(await serve(), ["a", "b", "c", "a", "b", "a", "a"]);
    });

    it("an owner's jobs are not before its streams", async () => {
      const { submit, serve } = openShared();
      for (let i = 0; i < 3; i++) submit(A, { background: true });
      submit(A);
      submit(A);
      assert.deepEqual(await serve(), ["aj", "a", "aj", "a", "aj"]);
    });

    it("who waits for each run before it sends the next is not served before others", async () => {
      const { queue, submit, serve } = openShared();
      for (let i = 0; i < 3; i++) submit(A);
      const [first] = [submit(B)];
      first!.run.begun.then(() => submit(B).run.begun).then(() => submit(B));
      assert.deepEqual(await serve(), ["a", "b", "a", "b", "a", "b"]);
      assert.equal(queue.depth, 0);
    });

    it("an owner loses no turn by runs that it cancels", async () => {
      const { submit, serve } = openShared();
      const cancelled = Array.from({ length: 5 }, () => submit(A));
      for (let i = 0; i < 3; i++) submit(B);
      for (const { run } of cancelled) run.cancel("requested");
      submit(A);
      assert.deepEqual(await serve(), ["b", "a", "b", "b"]);
    });

    it("a run takes along what can be made with it, whosever that is", async () => {
      const { submit, serve } = openShared({ maxBatch: 4 });
      for (const owner of [A, A, B]) submit(owner, { key: "k" });
      submit(B, { key: "other" });
      submit(C);
      assert.deepEqual(await serve(), ["a+b+a", "c", "b"]);
    });

    it("one owner leaves half of the queue, two a third, jobs more: whoever comes finds room", () => {
      const { queue, submit } = openShared({ capacity: 12 });
      for (let i = 0; i < 4; i++) submit(A, { background: true });
      assert.throws(() => submit(A, { background: true }), FULL);
      for (let i = 0; i < 4; i++) submit(A);
      assert.throws(() => submit(A), FULL);
      submit(B);
      submit(B);
      assert.throws(() => submit(B), FULL);
      submit(C);
      assert.throws(() => submit(A, { background: true }), FULL);
      assert.equal(queue.depth, 11);
      submit("d".repeat(16));
      assert.throws(() => submit("e".repeat(16)), FULL);
    });
  });

  it("forgets a finished run after its time", async () => {
    const clock = new FakeClock();
    const queue = new RunQueue({
      clock,
      retentionMs: 1000,
      execute: ([run]) => Promise.resolve(run!.emit({ type: "cancelled", reason: "requested" })),
    });
    const { run } = queue.submit(request(), { completed });
    await queue.drain();
    clock.advance(999);
    assert.equal(queue.get(run.id), run);
    clock.advance(1);
    assert.throws(() => queue.get(run.id), { status: 404 });
  });

  describe("with maxBatch", () => {
    /** Returns a queue, and the batches that have begun and that the test ends. */
    function openBatches(options: Partial<RunQueueOptions> = {}) {
      const batches: { runs: readonly Run[]; leaveDevice: () => void; end: () => void }[] = [];
      const clock = new FakeClock();
      const queue = new RunQueue({
        maxBatch: 4,
        clock,
        execute: async (runs, leaveDevice) => {
          const ended = Promise.withResolvers<void>();
          for (const run of runs) run.emit({ type: "started" });
          batches.push({ runs, leaveDevice, end: ended.resolve });
          await ended.promise;
          for (const run of runs) run.emit({ type: "cancelled", reason: "requested" });
        },
        ...options,
      });
      const submit = (key: string | undefined, limit = 8) =>
        queue.submit(request(), { completed, ...key !== undefined && { batch: { key, limit } } }).run;
      return { queue, batches, submit, clock };
    }
    const settled = () => new Promise<void>((resolve) => setTimeout(resolve));

    it("begins runs with one key together, and the others in their order", async () => {
      const { queue, batches, submit } = openBatches();
      const first = submit("a");
      const waiting = [submit("b"), submit("a"), submit("b"), submit(undefined), submit("b")];
      assert.deepEqual(batches.map(({ runs }) => runs), [[first]]);
      batches[0]!.end();
      await settled();
      assert.deepEqual(batches[1]!.runs, [waiting[0], waiting[2], waiting[4]]);
      assert.equal(queue.running, 3);
      assert.deepEqual(await places(waiting[3]!), [4, 4]);
      batches[1]!.end();
      await settled();
      assert.deepEqual(batches[2]!.runs, [waiting[1]]);
      batches[2]!.end();
      await settled();
      assert.deepEqual(batches[3]!.runs, [waiting[3]]);
      batches[3]!.end();
      await queue.drain();
    });

    it("keeps to the smaller of its own limit and the runs' limit", async () => {
      const { queue, batches, submit, clock } = openBatches();
      submit(undefined);
      for (let i = 0; i < 6; i++) submit("a");
      for (let i = 0; i < 3; i++) submit("b", 2);
      for (let i = 0; i < batches.length; i++) {
        batches[i]!.end();
        await settled();
        // The clients of the last batch send no further requests.
        clock.advance(50);
      }
      assert.deepEqual(batches.map(({ runs }) => runs.length), [1, 4, 2, 2, 1]);
      await queue.drain();
    });

    it("holds back waiting runs for the clients of the last batch, if they come back", async () => {
      const { queue, batches, submit, clock } = openBatches();
      submit("a");
      const waiting = [submit("a"), submit("a")];
      // The queue waits for a tenth of the batch's time.
      clock.advance(300);
      batches[0]!.leaveDevice();
      clock.advance(29);
      assert.equal(batches.length, 1);
      const returned = submit("a");
      assert.deepEqual(batches[1]!.runs, [...waiting, returned]);

      const left = submit("a");
      clock.advance(100);
      batches[1]!.leaveDevice();
      clock.advance(9);
      assert.equal(batches.length, 2);
      clock.advance(1);
      assert.deepEqual(batches[2]!.runs, [left]);
      for (const { end } of batches) end();
      await queue.drain();
    });

    it("goes on when a batch leaves the device, but does not let results pile up", async () => {
      const { queue, batches, submit } = openBatches({ maxBatch: 1 });
      for (let i = 0; i < 5; i++) submit(undefined);
      for (let i = 0; i < batches.length; i++) batches[i]!.leaveDevice();
      assert.equal(batches.length, 3);
      assert.equal(queue.running, 0);
      batches[0]!.end();
      await settled();
      assert.equal(batches.length, 4);
      const drained = queue.drain();
      for (const { end } of batches) end();
      await drained;
      assert.ok(batches.every(({ runs: [run] }) => run!.finished));
    });
  });
});
