// Workers of one model under different settings, behind one result store.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import { MemoryResultStore } from "../../../protocol/store/results/memory_result_store.ts";
import { createApp } from "../../../routes/app.ts";
import { MemoryKeyStore } from "../../../routes/keys/memory_key_store.ts";
import { goldenPath } from "../../goldens/golden.ts";
import { startTestWorker, type TestWorker } from "../../gpu-worker/http/test_worker.ts";
import { until } from "../../until.ts";
import { testPool } from "./pool.ts";

const MODEL = goldenPath("sdxl/tiny-sd15");
/** Wider than a tile of its autoencoder. */
const REQUEST = { model: MODEL, prompt: "a crab", seed: 5, steps: 2, size: "64x16" };

type App = ReturnType<typeof createApp>;

let whole: TestWorker;
let tiled: TestWorker;
before(async () => {
  whole = startTestWorker([await openPipeline(MODEL)]);
  tiled = startTestWorker([await openPipeline(MODEL, { vaeTiling: true })]);
});
after(async () => {
  await whole[Symbol.asyncDispose]();
  await tiled[Symbol.asyncDispose]();
});

function edge(results: MemoryResultStore, ...workers: TestWorker[]): App {
  return createApp({
    workers: testPool(...workers.map(({ url }) => url)),
    results,
    keys: ["key"],
    keyStore: new MemoryKeyStore(),
    log: () => {},
  });
}

async function draw(app: App): Promise<{ cache: string | null; picture: string; digest: string }> {
  const response = await app.request("http://localhost/v1/images/generations", {
    method: "POST",
    headers: { "content-type": "application/json", authorization: "Bearer key" },
    body: JSON.stringify(REQUEST),
  });
  const body = await response.json();
  assert.equal(response.status, 200, JSON.stringify(body));
  const { b64_json: picture, receipt } = body.data[0];
  return { cache: response.headers.get("x-spectrum-cache"), picture, digest: receipt.model_digest };
}

async function drawAndStore(app: App): ReturnType<typeof draw> {
  const made = await draw(app);
  // The answer does not wait for the store.
  await until(async () => (await draw(app)).cache === "hit");
  return made;
}

describe("workers of different settings behind one store", () => {
  it("do not answer for each other", async () => {
    const results = new MemoryResultStore();
    const ofWhole = await drawAndStore(edge(results, whole));
    const ofTiled = await drawAndStore(edge(results, tiled));
    assert.deepEqual([ofWhole.cache, ofTiled.cache], ["miss", "miss"]);
    assert.notEqual(ofWhole.picture, ofTiled.picture);
    assert.notEqual(ofWhole.digest, ofTiled.digest);
    assert.equal((await draw(edge(results, whole))).picture, ofWhole.picture);
    assert.equal((await draw(edge(results, tiled))).picture, ofTiled.picture);
  });

  it("make one picture where an edge has both", async () => {
    const pictures = new Set<string>();
    const app = edge(new MemoryResultStore(), whole, tiled);
    for (let i = 0; i < 4; i++) pictures.add((await draw(app)).picture);
    assert.equal(pictures.size, 1);
  });
});
