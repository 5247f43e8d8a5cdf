// Records in an answer's files of how they were made, and the ways to leave them out.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { readMetadata } from "../../../gpu-worker/media/metadata/read_metadata.ts";
import { MemoryResultStore } from "../../../protocol/store/results/memory_result_store.ts";
import { createApp } from "../../../routes/app.ts";
import { drawApiKey } from "../../../routes/keys/api_key.ts";
import { MemoryKeyStore } from "../../../routes/keys/memory_key_store.ts";
import { FakePipeline } from "../../gpu-worker/http/fake_pipeline.ts";
import { startTestWorker } from "../../gpu-worker/http/test_worker.ts";
import { testPool } from "../runs/pool.ts";

async function start() {
  const worker = startTestWorker([new FakePipeline()]);
  const keyStore = new MemoryKeyStore();
  const app = createApp({
    workers: testPool(worker.url),
    results: new MemoryResultStore(),
    keys: ["plain"],
    keyStore,
    log: () => {},
  });
  const { key: quiet, record } = await drawApiKey({
    name: "quiet",
    scopes: ["generate", "read"],
    requests_per_minute: null,
    pictures_per_month: null,
    metadata: false,
    created_at: new Date().toISOString(),
  });
  await keyStore.add(record);
  const draw = async (fields: object, key = "plain") => {
    const response = await app.request("http://localhost/v1/images/generations", {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
      body: JSON.stringify({ prompt: "a café", seed: 5, ...fields }),
    });
    const { data: [{ b64_json, receipt }] } = await response.json();
    const json = await readMetadata(Uint8Array.fromBase64(b64_json));
    return { b64_json, receipt, record: json === undefined ? undefined : JSON.parse(json) };
  };
  return { worker, draw, quiet };
}

describe("metadata of an answer's file", () => {
  it("has the settings and the model, and is the same from the store", async () => {
    const { worker, draw } = await start();
    await using _worker = worker;
    const { b64_json, receipt, record } = await draw({ steps: 3 });
    assert.deepEqual([record.model, record.model_digest], ["fake", receipt.model_digest]);
    const { prompt, seed, steps, spectrum } = record.settings;
    assert.deepEqual([prompt, seed, steps, spectrum.method], ["a café", 5, 3, receipt.method]);
    const again = await draw({ steps: 3 });
    assert.deepEqual([again.receipt.cache, again.b64_json], ["hit", b64_json]);
    const made = await draw({ steps: 3, output_format: "jpeg", output_compression: 80 });
    assert.deepEqual([made.record.output_compression, made.record.settings], [80, record.settings]);
  });

  it("is left out if the request or the key says so, in a separate file", async () => {
    const { worker, draw, quiet } = await start();
    await using _worker = worker;
    const told = await draw({});
    const bare = await draw({ metadata: false });
    assert.deepEqual([told.record !== undefined, bare.record, bare.receipt.cache], [true, undefined, "miss"]);
    const ofKey = await draw({}, quiet);
    assert.deepEqual([ofKey.record, ofKey.receipt.cache], [undefined, "hit"]);
    assert.deepEqual((await draw({ metadata: true }, quiet)).record, told.record);
  });
});
