import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { ModelPool, type ModelPoolOptions } from "../../../gpu-worker/http/model_pool.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";
import { ApiError } from "../../../protocol/wire/api_error.ts";
import { CheckpointError } from "../../../gpu-worker/checkpoint/checkpoint_error.ts";
import { FakeClock } from "../../protocol/process/fake_clock.ts";
import { FakePipeline } from "./fake_pipeline.ts";

/** Returns a pool of fake models, and every pipeline that the pool has opened. */
function poolOf(ids: readonly string[], options: Omit<ModelPoolOptions, "sources"> = {}) {
  const opened: FakePipeline[] = [];
  const sources = ids.map((id) => {
    const { model: info, description } = new FakePipeline({ id });
    const open = () => {
      const pipeline = new FakePipeline({ id });
      opened.push(pipeline);
      return Promise.resolve(pipeline);
    };
    return { info, description, open };
  });
  return { pool: new ModelPool({ sources, ...options }), opened };
}

describe("ModelPool", () => {
  it("lease() loads a model once, however many ask at once", async () => {
    const { pool, opened } = poolOf(["a"]);
    const leases = await Promise.all([pool.lease("a"), pool.lease("a")]);
    assert.equal(opened.length, 1);
    assert.equal(leases[0].pipeline, opened[0]);
  });

  it("lease() unloads the least recently used model for another, never one in use", async () => {
    const { pool, opened } = poolOf(["a", "b", "c"], { maxLoaded: 2 });
    using _a = await pool.lease("a");
    (await pool.lease("b"))[Symbol.dispose]();
    using _c = await pool.lease("c");
    assert.deepEqual(opened.map(({ model, disposed }) => [model.id, disposed]), [
      ["a", false],
      ["b", true],
      ["c", false],
    ]);
    assert.ok(pool.isLoaded("a") && !pool.isLoaded("b"));
  });

  it("lease() makes room when memory is short", async () => {
    const { pool, opened } = poolOf(["a", "b"], { maxLoaded: 5, minFreeBytes: 100, freeBytes: () => 50 });
    (await pool.lease("a"))[Symbol.dispose]();
    (await pool.lease("b"))[Symbol.dispose]();
    assert.ok(opened[0]!.disposed);
  });

  it("describe() loads nothing, and refuses a model that is not served", () => {
    const { pool, opened } = poolOf(["a", "b"]);
    assert.equal(completeRequest({ prompt: "x", seed: 1 }, pool.describe("b")).steps, 4);
    assert.equal(opened.length, 0);
    assert.throws(() => pool.describe("c"), (error) => error instanceof ApiError && error.status === 404);
  });

  it("refuses a model whose files have changed or gone, until they are back", async () => {
    const { model: info, description } = new FakePipeline({ id: "a" });
    let files: "same" | "changed" | "gone" = "changed";
    const opened: FakePipeline[] = [];
    const open = () => {
      if (files === "gone") return Promise.reject(new CheckpointError("Cannot find model 'a'"));
      const pipeline = new FakePipeline({ id: files === "same" ? "a" : "another" });
      opened.push(pipeline);
      return Promise.resolve(pipeline);
    };
    const pool = new ModelPool({ sources: [{ info, description, open }] });
    const isChanged = (error: unknown) => error instanceof ApiError && error.code === "model_changed";
    await assert.rejects(pool.lease("a"), isChanged);
    assert.ok(opened[0]!.disposed && !pool.isLoaded("a"));
    files = "gone";
    await assert.rejects(pool.lease("a"), isChanged);
    files = "same";
    using lease = await pool.lease("a");
    assert.equal(lease.pipeline, opened[1]);
  });

  it("reloads all models after a lost device, once the runs on it have ended", async () => {
    const { pool, opened } = poolOf(["a", "b"], { maxLoaded: 2 });
    (await pool.lease("b"))[Symbol.dispose]();
    const [first, second] = await Promise.all([pool.lease("a"), pool.lease("a")]);
    first.deviceLost();
    assert.deepEqual(opened.map(({ model, disposed }) => [model.id, disposed]), [["b", true], ["a", false]]);
    assert.ok(!pool.isLoaded("a") && !pool.isLoaded("b"));
    const again = pool.lease("a");
    first[Symbol.dispose]();
    await Promise.resolve();
    assert.deepEqual([opened.length, opened[1]!.disposed], [2, false]);
    second[Symbol.dispose]();
    assert.ok(opened[1]!.disposed);
    using lease = await again;
    assert.equal(lease.pipeline, opened[2]);
  });

  it("unloads an idle model and completes its requests all the same", async () => {
    const clock = new FakeClock();
    const { pool, opened } = poolOf(["a"], { idleMs: 1000, clock });
    (await pool.lease("a"))[Symbol.dispose]();
    clock.advance(999);
    (await pool.lease("a"))[Symbol.dispose]();
    clock.advance(999);
    assert.ok(!opened[0]!.disposed);
    clock.advance(1);
    assert.ok(opened[0]!.disposed);
    assert.equal(completeRequest({ prompt: "x", seed: 1 }, pool.describe("a")).steps, 4);
    using _again = await pool.lease("a");
    assert.equal(opened.length, 2);
  });

  it("lease() goes on after a load that failed", async () => {
    let attempts = 0;
    const { model: info, description } = new FakePipeline({ id: "a" });
    const source = {
      info,
      description,
      open: () =>
        ++attempts === 1 ? Promise.reject(new Error("disk")) : Promise.resolve(new FakePipeline({ id: "a" })),
    };
    const pool = new ModelPool({ sources: [source] });
    await assert.rejects(pool.lease("a"), /disk/);
    assert.equal((await pool.lease("a")).pipeline.model.id, "a");
  });

  it("lease() refuses a model that is not served", async () => {
    const { pool } = poolOf(["a"]);
    await assert.rejects(
      async () => await pool.lease("b"),
      (error) => error instanceof ApiError && error.status === 404,
    );
  });
});
