import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { modelCard } from "../../../gpu-worker/http/model_card.ts";
import { ApiError } from "../../../protocol/wire/api_error.ts";
import type { ModelCard } from "../../../protocol/wire/model_card.ts";
import { MemoryResultStore } from "../../../protocol/store/results/memory_result_store.ts";
import type { OpenRunRequest } from "../../../protocol/wire/run_request.ts";
import { createApp } from "../../../routes/app.ts";
import { MemoryKeyStore } from "../../../routes/keys/memory_key_store.ts";
import { type PooledWorker, WorkerPool } from "../../../routes/runs/worker_pool.ts";
import { FakePipeline } from "../../gpu-worker/http/fake_pipeline.ts";
import { startTestWorker } from "../../gpu-worker/http/test_worker.ts";
import { testPool } from "./pool.ts";
import { until } from "../../until.ts";

const RUN: OpenRunRequest = { model: "m", prompt: "x", seed: 1 };
const DIGEST = { modelDigest: "d" };

/** A worker as the pool sees it. */
class FakeWorker {
  depth = 0;
  submitted = 0;
  refusal: ApiError | undefined;
  cards: ModelCard[];

  constructor(readonly url: string, cards: Partial<ModelCard>[] = [{}]) {
    const { model: info, description } = new FakePipeline();
    this.cards = cards.map((card) => ({
      ...modelCard({ info, description }, "1"),
      id: "m",
      pipeline_class: "P",
      digest: "d",
      loaded: true,
      ...card,
    }));
  }

  models() {
    return Promise.resolve(this.cards);
  }
  status() {
    return Promise.resolve({ ready: true, queue_depth: this.depth, running: this.depth > 0 });
  }
  submit() {
    if (this.refusal !== undefined) return Promise.reject(this.refusal);
    this.submitted++;
    return Promise.resolve({ id: "r", position: this.depth++, shared: false });
  }
}

function poolOf(...workers: FakeWorker[]): WorkerPool {
  return new WorkerPool({ workers: workers as unknown as PooledWorker[], log: () => {} });
}

const unavailable = () => new ApiError(503, "away", { code: "worker_unavailable" });

describe("WorkerPool", () => {
  it("a worker that hangs keeps nobody waiting where another can answer", async () => {
    const never = () => new Promise<never>(() => {});
    const cancelled: string[] = [];
    const hung = new FakeWorker("hung");
    Object.assign(hung, { complete: never });
    const well = new FakeWorker("well");
    Object.assign(well, { complete: () => Promise.resolve({ steps: 7 }) });
    const pool = new WorkerPool({
      workers: [hung, well] as unknown as PooledWorker[],
      log: () => {},
      hedgeMs: 1,
      freshMs: 0,
      staleMs: 0,
    });
    // In whichever order they are asked.
    for (let turn = 0; turn < 4; turn++) assert.equal((await pool.complete(RUN)).steps, 7);
    // Now it tells nothing of itself either; what it said of its models last holds.
    Object.assign(hung, { models: never, status: never });
    assert.deepEqual((await pool.models()).map(({ id }) => id), ["m"]);
    assert.equal((await pool.complete(RUN)).steps, 7);
    // A run goes to the other; one that the hung worker did not take in time is taken back.
    const late = () => Promise.reject(unavailable());
    Object.assign(hung, {
      ...{
        models: () => Promise.resolve(hung.cards),
        status: () => Promise.resolve({ ready: true, queue_depth: 0 }),
      },
      ...{ submit: late, cancel: (id: string) => Promise.resolve(void cancelled.push(id)) },
    });
    well.depth = 5;
    const shared = { id: "run-number-1", attempt: 1 };
    await until(async () => {
      assert.equal((await pool.submit({ ...RUN, shared }, DIGEST))!.worker, "well");
      return cancelled.length > 0;
    });
    assert.equal(cancelled[0], "run-number-1");
  });

  it("complete() gives the refusal of a worker, and 503 where none is left", async () => {
    const refusal = new ApiError(400, "no", { code: "invalid_value" });
    const [a, b] = [new FakeWorker("a"), new FakeWorker("b")];
    for (const worker of [a, b]) Object.assign(worker, { complete: () => Promise.reject(worker.refusal) });
    const pool = poolOf(a, b);
    a.refusal = b.refusal = refusal;
    await assert.rejects(pool.complete(RUN), { status: 400 });
    a.refusal = b.refusal = unavailable();
    await assert.rejects(pool.complete(RUN), { status: 503 });
  });

  it("submit() shares runs evenly, and prefers who has the model in memory up to a point", async () => {
    const [a, b] = [new FakeWorker("a"), new FakeWorker("b")];
    const pool = poolOf(a, b);
    for (let i = 0; i < 10; i++) await pool.submit(RUN, DIGEST);
    assert.deepEqual([a.submitted, b.submitted], [5, 5]);
    const [warm, cold] = [new FakeWorker("warm"), new FakeWorker("cold", [{ loaded: false }])];
    const other = poolOf(warm, cold);
    for (let i = 0; i < 4; i++) await other.submit(RUN, DIGEST);
    assert.deepEqual([warm.submitted, cold.submitted], [4, 0]);
    for (let i = 0; i < 4; i++) await other.submit(RUN, DIGEST);
    assert.ok(cold.submitted > 0);
  });

  it("submit() tries the next worker if one is away, full or draining, not on bad requests", async () => {
    const reasons = [
      unavailable(),
      new ApiError(429, "full", { code: "queue_full" }),
      new ApiError(503, "draining", { code: "worker_draining" }),
    ];
    for (const refusal of reasons) {
      const [a, b] = [new FakeWorker("a"), new FakeWorker("b")];
      a.refusal = refusal;
      const pool = poolOf(a, b);
      for (let i = 0; i < 3; i++) assert.equal((await pool.submit(RUN, DIGEST))!.worker, "b");
      b.refusal = new ApiError(429, "full", { code: "queue_full" });
      await assert.rejects(pool.submit(RUN, DIGEST), (error) => error === b.refusal || error === a.refusal);
    }
    const [a, b] = [new FakeWorker("a"), new FakeWorker("b")];
    a.refusal = b.refusal = new ApiError(400, "wrong", { code: "invalid_value" });
    await assert.rejects(poolOf(a, b).submit(RUN, DIGEST), { status: 400 });
    assert.equal(a.submitted + b.submitted, 0);
  });

  it("submit() skips workers with other weights, and avoids named ones while it has another", async () => {
    const [a, b] = [new FakeWorker("a", [{ digest: "old" }]), new FakeWorker("b")];
    const pool = poolOf(a, b);
    for (let i = 0; i < 3; i++) assert.equal((await pool.submit(RUN, DIGEST))!.worker, "b");
    const others = poolOf(new FakeWorker("a"), new FakeWorker("b"));
    for (let i = 0; i < 3; i++) {
      assert.equal((await others.submit(RUN, { ...DIGEST, avoid: "a" }))!.worker, "b");
    }
    assert.equal((await poolOf(new FakeWorker("a")).submit(RUN, { ...DIGEST, avoid: "a" }))!.worker, "a");
  });

  it("submit() begins a new attempt at the next worker, so that a hung one writes no more", async () => {
    const given: [string, number][] = [];
    const givenUp: [string, number][] = [];
    const workers = ["a", "b", "c"].map((url) => {
      const worker = new FakeWorker(url);
      return Object.assign(worker, {
        submit: ({ shared }: OpenRunRequest) => {
          given.push([url, shared!.attempt]);
          return given.length < 3 ? Promise.reject(unavailable()) : FakeWorker.prototype.submit.call(worker);
        },
        cancel: (_id: string, attempt: number) => Promise.resolve(void givenUp.push([url, attempt])),
      });
    });
    let attempt = 4;
    const shared = { id: "run-number-1", attempt };
    const advance = () => Promise.resolve(++attempt);
    await poolOf(...workers).submit({ ...RUN, shared }, { ...DIGEST, advance });
    assert.deepEqual(given.map(([, attempt]) => attempt), [4, 5, 6]);
    assert.deepEqual(givenUp, given.slice(0, 2));
    given.length = 0;
    const ended = { ...DIGEST, advance: () => Promise.resolve(undefined) };
    assert.equal(await poolOf(...workers).submit({ ...RUN, shared }, ended), undefined);
    assert.equal(given.length, 1);
  });

  it("submit() finds the one worker that has come back, however long it was away", async () => {
    let now = 0;
    const worker = new FakeWorker("a");
    const { status } = worker;
    const pool = new WorkerPool({
      workers: [worker] as unknown as PooledWorker[],
      log: () => {},
      now: () => now,
    });
    worker.refusal = unavailable();
    Object.assign(worker, { status: () => Promise.reject(unavailable()) });
    // Somebody asks all the time, so that the breaker stays open for half a minute.
    for (; now < 120_000; now += 500) await assert.rejects(pool.submit(RUN, DIGEST));
    worker.refusal = undefined;
    Object.assign(worker, { status });
    now += 2500;
    await Promise.all(Array.from({ length: 5 }, () => pool.submit(RUN, DIGEST)));
    assert.equal(worker.submitted, 5);
  });

  it("submit() leaves a worker alone that keeps failing", async () => {
    const worker = new FakeWorker("a");
    worker.refusal = unavailable();
    const pool = poolOf(worker);
    for (let i = 0; i < 3; i++) await assert.rejects(pool.submit(RUN, DIGEST));
    assert.deepEqual(pool.states.map(({ breaker }) => breaker), ["open"]);
    worker.refusal = undefined;
    await assert.rejects(pool.submit(RUN, DIGEST), { code: "worker_unavailable" });
    assert.equal(worker.submitted, 0);
  });

  it("models() names each model once, loaded if it is anywhere", async () => {
    const a = new FakeWorker("a", [{ loaded: false }, { id: "only a" }]);
    const b = new FakeWorker("b", [{ loaded: true }]);
    const models = await poolOf(a, b).models();
    assert.deepEqual(models.map(({ id, loaded }) => [id, loaded]), [["m", true], ["only a", true]]);
  });

  it("a draining worker hands its waiting runs to another one, unseen by viewers", async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const [first, second] = [1, 2].map(() => startTestWorker([new FakePipeline({ beforeStep: () => gate })]));
    await using _first = first!;
    await using _second = second!;
    const app = createApp({
      workers: testPool(first!.url, second!.url),
      results: new MemoryResultStore(),
      keys: ["key"],
      keyStore: new MemoryKeyStore(),
      log: () => {},
    });
    const headers = { "content-type": "application/json", authorization: "Bearer key" };
    const responses: Response[] = [];
    for (const seed of [1, 2, 3, 4]) {
      const body = JSON.stringify({ prompt: "x", seed, steps: 1, stream: true, progress: true });
      responses.push(
        await app.request("http://localhost/v1/images/generations", { method: "POST", headers, body }),
      );
    }
    assert.deepEqual([first!.queue.depth, second!.queue.depth], [1, 1]);
    const drained = first!.queue.drain();
    await until(() => second!.queue.depth === 2);
    open();
    await drained;
    for (const response of responses) {
      const text = await response.text();
      assert.match(text, /image_generation\.completed/);
      assert.doesNotMatch(text, /event: error|restarted/);
    }
  });
});
