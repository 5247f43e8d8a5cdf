import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { parseImageRequest } from "../../../routes/requests/image_request.ts";
import { ModelCatalog } from "../../../routes/runs/model_catalog.ts";
import { RunPlanner } from "../../../routes/runs/run_planner.ts";
import { FakePipeline } from "../../gpu-worker/http/fake_pipeline.ts";
import { startTestWorker } from "../../gpu-worker/http/test_worker.ts";
import { testPool } from "./pool.ts";

describe("RunPlanner", () => {
  it("plan() remembers the same words for the same weights if the result is stored", async () => {
    await using worker = startTestWorker([new FakePipeline()]);
    const pool = testPool(worker.url);
    const [card] = await pool.models();
    let digest = "a";
    const models = () => Promise.resolve([{ ...card!, digest }]);
    const planner = new RunPlanner({
      catalog: new ModelCatalog({ worker: { models }, ttlMs: -1 }),
      worker: pool,
    });
    const request = (fields: object = {}) => parseImageRequest({ prompt: "x", seed: 1, ...fields });

    const plan = await planner.plan(request());
    assert.equal(await planner.plan(request()), plan);
    const others = [request({ seed: 2 }), request({ prompt: "y" }), request({ n: 2 }), request({ steps: 3 })];
    const keys = new Set([plan.pictures[0]!.key]);
    for (const other of others) keys.add((await planner.plan(other)).pictures.at(-1)!.key);
    // The second of two pictures is that of seed 2.
    assert.equal(keys.size, others.length);
    assert.notEqual(await planner.plan(request(), "runs"), await planner.plan(request(), "runs"));
    digest = "b";
    const renewed = await planner.plan(request());
    assert.notEqual(renewed.pictures[0]!.key, plan.pictures[0]!.key);
    assert.equal(renewed.pictures[0]!.modelDigest, "b");
  });
});
