// Answers given again: the same in every byte, and under the same rules as the first.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import type { StoredResult } from "../../../protocol/store/results/result_store.ts";
import { MemoryResultStore } from "../../../protocol/store/results/memory_result_store.ts";
import { createApp } from "../../../routes/app.ts";
import { drawApiKey } from "../../../routes/keys/api_key.ts";
import { MemoryKeyStore } from "../../../routes/keys/memory_key_store.ts";
import { FakePipeline } from "../../gpu-worker/http/fake_pipeline.ts";
import { startTestWorker } from "../../gpu-worker/http/test_worker.ts";
import { testPool } from "../runs/pool.ts";

/** Tells how often it was asked in the two ways, and forgets when told. */
class WatchedStore extends MemoryResultStore {
  gets = 0;
  isEmpty = false;
  override get(key: string) {
    this.gets++;
    return super.get(key);
  }
  override recall(key: string): StoredResult | undefined {
    return this.isEmpty ? undefined : super.recall(key);
  }
}

function start() {
  const pipeline = new FakePipeline();
  const worker = startTestWorker([pipeline]);
  const keyStore = new MemoryKeyStore();
  const results = new WatchedStore();
  const lines: Record<string, unknown>[] = [];
  const app = createApp({
    workers: testPool(worker.url),
    results,
    keys: ["plain"],
    keyStore,
    log: (_level, message, fields) => void lines.push({ message, ...fields }),
  });
  const addKey = async (fields: { pictures_per_month?: number; metadata?: boolean }) => {
    const limits = { requests_per_minute: null, pictures_per_month: null, ...fields };
    const created_at = new Date().toISOString();
    const { key, record } = await drawApiKey({ name: "x", scopes: ["generate"], ...limits, created_at });
    await keyStore.add(record);
    return key;
  };
  const ask = async (fields: object = {}, headers: Record<string, string> = {}) => {
    const response = await app.request("http://localhost/v1/images/generations", {
      method: "POST",
      headers: { "content-type": "application/json", authorization: "Bearer plain", ...headers },
      body: JSON.stringify({ prompt: 'says "b64_json":"" to all', seed: 5, steps: 2, ...fields }),
    });
    return { response, text: await response.text() };
  };
  const metrics = async () =>
    await (await app.request("http://localhost/metrics", { headers: { authorization: "Bearer plain" } }))
      .text();
  return { worker, pipeline, results, lines, app, addKey, ask, metrics };
}

const withoutDate = (text: string) => text.replace(/^\{"created":\d+/, "");
const headersOf = ({ headers }: Response) =>
  [...headers].map(([name, value]) => name === "x-request-id" ? [name, "any"] : [name, value]);

describe("StoredAnswers", () => {
  it("gives the third of equal requests the second's body and headers", async () => {
    const { worker, results, lines, ask, metrics } = start();
    await using _worker = worker;
    for (const fields of [{}, { n: 2 }]) {
      await ask(fields);
      const second = await ask(fields);
      const { gets } = results;
      const third = await ask(fields, { "x-request-id": "mine" });
      assert.equal(results.gets, gets);
      assert.equal(withoutDate(third.text), withoutDate(second.text));
      assert.deepEqual(headersOf(third.response), headersOf(second.response));
      assert.equal(third.response.headers.get("x-request-id"), "mine");
      assert.equal(JSON.parse(third.text).data[0].receipt.cache, "hit");
      const { ms: _ms, ...line } = lines.at(-1)!;
      const { ms: _, ...before } = lines.at(-2)!;
      assert.deepEqual(line, { ...before, request_id: "mine" });
    }
    const text = await metrics();
    // Pictures: one and two, three times each, one of the two stored before.
    assert.match(text, /spectrum_edge_pictures_total\{cache="hit"\} 7\n/);
    assert.match(text, /spectrum_edge_picture_seconds_count\{cache="hit"\} 7\n/);
    assert.match(
      text,
      /spectrum_edge_requests_total\{method="POST",route="[a-z1\/]+",status="200"\} 6\n/,
    );
  });

  it("draws anew without a seed, though a retry found the picture of its first attempt", async () => {
    const { worker, pipeline, ask } = start();
    await using _worker = worker;
    const attempt = (retry: number) => ask({ seed: undefined }, { "x-stainless-retry-count": `${retry}` });
    const first = JSON.parse((await attempt(0)).text).data[0].seed;
    for (let retry = 1; retry < 4; retry++) {
      assert.equal(JSON.parse((await attempt(retry)).text).data[0].seed, first);
    }
    const steps = pipeline.stepsBegun;
    assert.notEqual(JSON.parse((await ask({ seed: undefined })).text).data[0].seed, first);
    assert(pipeline.stepsBegun > steps);
  });

  it("reads what a header says beside the body", async () => {
    const { worker, pipeline, ask } = start();
    await using _worker = worker;
    for (let round = 0; round < 3; round++) await ask();
    const steps = pipeline.stepsBegun;
    const fresh = await ask({}, { "cache-control": "no-cache" });
    assert.equal(fresh.response.headers.get("x-spectrum-cache"), "miss");
    assert.equal(pipeline.stepsBegun, 2 * steps);
    assert.equal((await ask({}, { prefer: "respond-async" })).response.status, 202);
    assert.equal((await ask({}, { "idempotency-key": "k" })).response.status, 200);
    assert.equal((await ask({ steps: 3 }, { "idempotency-key": "k" })).response.status, 422);
  });

  it("counts pictures of a key with a limit, and refuses who may not ask", async () => {
    const { worker, addKey, ask } = start();
    await using _worker = worker;
    for (let round = 0; round < 3; round++) await ask();
    const authorization = `Bearer ${await addKey({ pictures_per_month: 2 })}`;
    const statuses = [];
    for (let round = 0; round < 3; round++) statuses.push((await ask({}, { authorization })).response.status);
    assert.deepEqual(statuses, [200, 200, 429]);
    assert.equal((await ask({}, { authorization: "Bearer wrong" })).response.status, 401);
  });

  it("tells keys apart that want other files", async () => {
    const { worker, addKey, ask } = start();
    await using _worker = worker;
    const authorization = `Bearer ${await addKey({ metadata: false })}`;
    const pictures = [];
    for (const headers of [{}, { authorization }]) {
      for (let round = 0; round < 3; round++) {
        pictures.push(JSON.parse((await ask({}, headers)).text).data[0].b64_json);
      }
    }
    assert.equal(new Set(pictures.slice(0, 3)).size, 1);
    assert.equal(new Set(pictures.slice(3)).size, 1);
    assert.notEqual(pictures[0], pictures[3]);
  });

  it("looks anew for a picture that the store has lost", async () => {
    const { worker, results, ask } = start();
    await using _worker = worker;
    for (let round = 0; round < 3; round++) await ask();
    const { gets } = results;
    results.isEmpty = true;
    assert.equal((await ask()).response.status, 200);
    assert.equal(results.gets, gets + 1);
  });
});
