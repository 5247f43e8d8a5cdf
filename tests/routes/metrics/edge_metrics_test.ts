import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Hono } from "hono";
import type { Environment } from "../../../routes/middleware/environment.ts";
import { EdgeMetrics } from "../../../routes/metrics/edge_metrics.ts";
import { measureRequests } from "../../../routes/metrics/measure_requests.ts";
import { MeasuredRunSource } from "../../../routes/metrics/measured_run_source.ts";
import { MemoryResultStore } from "../../../protocol/store/results/memory_result_store.ts";
import { FakePipeline } from "../../gpu-worker/http/fake_pipeline.ts";
import { testPool } from "../runs/pool.ts";
import { startTestWorker } from "../../gpu-worker/http/test_worker.ts";

/** Lines of the exposition that start with `name`. */
async function samples(metrics: EdgeMetrics, name: string): Promise<string[]> {
  return (await metrics.text()).split("\n").filter((line) => line.startsWith(name));
}

describe("measureRequests()", () => {
  it("the number of labels is bounded, whatever clients send", async () => {
    const metrics = new EdgeMetrics();
    const app = new Hono<Environment>();
    app.use(measureRequests(metrics));
    app.get("/v1/models/:id", (c) => c.text("model"));
    app.get("/fails", () => {
      throw new Error("no");
    });
    app.onError((_, c) => c.text("failed", 500));
    for (const path of ["/v1/models/a", "/v1/models/b", "/nowhere/1", "/nowhere/2", "/fails"]) {
      await app.request(path);
    }
    await app.request("/v1/models/a", { method: "BREW" });
    assert.deepEqual(await samples(metrics, "spectrum_edge_requests_total"), [
      `spectrum_edge_requests_total{method="GET",route="/v1/models/:id",status="200"} 2`,
      `spectrum_edge_requests_total{method="GET",route="unmatched",status="404"} 2`,
      `spectrum_edge_requests_total{method="GET",route="/fails",status="500"} 1`,
      `spectrum_edge_requests_total{method="other",route="unmatched",status="404"} 1`,
    ]);
    assert.deepEqual(await samples(metrics, `spectrum_edge_request_seconds_count{route="/fails"}`), [
      `spectrum_edge_request_seconds_count{route="/fails"} 1`,
    ]);
  });
});

describe("MeasuredRunSource", () => {
  it("open() tells misses, joins and hits apart, and times the first preview once", async () => {
    await using worker = startTestWorker([new FakePipeline()]);
    const metrics = new EdgeMetrics();
    const pool = testPool(worker.url);
    const [card] = await pool.models();
    using source = new MeasuredRunSource({
      pool,
      results: new MemoryResultStore(),
      log: () => {},
      metrics,
    });
    const wanted = {
      name: "k",
      key: "k",
      run: { model: "fake", prompt: "x", seed: 1, previews: 2 },
      modelDigest: card!.digest,
    };
    const watch = async () => {
      const picture = await source.open(wanted);
      for await (const _ of picture.events(new AbortController().signal));
      picture.close();
    };
    await Promise.all([watch(), watch()]);
    await watch();
    assert.deepEqual(await samples(metrics, "spectrum_edge_pictures_total"), [
      `spectrum_edge_pictures_total{cache="miss"} 1`,
      `spectrum_edge_pictures_total{cache="joined"} 1`,
      `spectrum_edge_pictures_total{cache="hit"} 1`,
    ]);
    assert.deepEqual(await samples(metrics, "spectrum_edge_first_preview_seconds_count"), [
      "spectrum_edge_first_preview_seconds_count 2",
    ]);
    assert.deepEqual((await samples(metrics, "spectrum_edge_picture_seconds_count")).length, 3);
  });
});
