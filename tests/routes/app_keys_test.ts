// Keys, scopes and limits as clients of the edge meet them; the worker's steps are the test's.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { createApp } from "../../routes/app.ts";
import { MemoryKeyStore } from "../../routes/keys/memory_key_store.ts";
import { MemoryResultStore } from "../../protocol/store/results/memory_result_store.ts";
import { FakePipeline } from "../gpu-worker/http/fake_pipeline.ts";
import { testPool } from "./runs/pool.ts";
import { startTestWorker } from "../gpu-worker/http/test_worker.ts";
import { drawTestKey } from "./keys/key.ts";

function start(pipeline = new FakePipeline(), keys: string[] = []) {
  const worker = startTestWorker([pipeline]);
  const keyStore = new MemoryKeyStore();
  const app = createApp({
    workers: testPool(worker.url),
    results: new MemoryResultStore(),
    keys,
    keyStore,
    log: () => {},
  });
  const ask = async (key: string | undefined, fields?: Record<string, unknown>) => {
    const headers = {
      "content-type": "application/json",
      ...key !== undefined && { authorization: `Bearer ${key}` },
    };
    const remoteAddr = { transport: "tcp", hostname: "127.0.0.1", port: 1 } as const;
    const response = fields === undefined
      ? await app.request("http://localhost/v1/models", { headers }, { remoteAddr })
      : await app.request("http://localhost/v1/images/generations", {
        method: "POST",
        headers,
        body: JSON.stringify({ prompt: "x", steps: 1, ...fields }),
      }, { remoteAddr });
    const text = await response.text();
    const { error } = /^\{"error"/.test(text) ? JSON.parse(text) : {};
    return { status: response.status, code: error?.code, type: error?.type, headers: response.headers, text };
  };
  return { worker, keyStore, ask };
}

describe("createApp() with API keys", () => {
  it("allows a key the routes of its scopes", async () => {
    const { worker, keyStore, ask } = start();
    await using _worker = worker;
    const expected = { generate: [403, 200], read: [200, 403], admin: [200, 200] } as const;
    for (const scope of ["generate", "read", "admin"] as const) {
      const { key, record } = await drawTestKey({ scopes: [scope] });
      await keyStore.add(record);
      const answers = [await ask(key), await ask(key, { seed: 1 })];
      assert.deepEqual(answers.map(({ status }) => status), expected[scope], scope);
      for (const { status, code, type } of answers) {
        if (status !== 200) assert.deepEqual([code, type], ["insufficient_scope", "permission_error"]);
      }
    }
  });

  it("tells wrong, revoked and missing keys apart; one stored key ends loopback's privilege", async () => {
    const { worker, keyStore, ask } = start();
    await using _worker = worker;
    const revoked = await drawTestKey({ revoked_at: "2026-01-02T00:00:00.000Z" });
    await keyStore.add(revoked.record);
    const wrong = revoked.key.slice(0, -4) + (revoked.key.endsWith("0000") ? "1111" : "0000");
    const codes = await Promise.all([revoked.key, wrong, "sk-other", undefined].map((key) => ask(key)));
    assert.deepEqual(codes.map(({ status, code }) => [status, code]), [
      [401, "revoked_api_key"],
      [401, "invalid_api_key"],
      [401, "invalid_api_key"],
      [401, "missing_api_key"],
    ]);
  });

  it("admits the environment's plain keys beside the store's, without limits", async () => {
    const { worker, keyStore, ask } = start(new FakePipeline(), ["sk-plain"]);
    await using _worker = worker;
    const { key, record } = await drawTestKey({ requests_per_minute: 1 });
    await keyStore.add(record);
    for (let i = 0; i < 3; i++) assert.equal((await ask("sk-plain")).status, 200);
    assert.equal((await ask(key)).status, 200);
    const over = await ask(key);
    assert.deepEqual([over.status, over.code, over.type], [429, "rate_limit_exceeded", "rate_limit_error"]);
    assert.match(over.headers.get("retry-after")!, /^[1-9]\d*$/);
  });

  it("pictures count against the month's quota, stored and streamed ones too", async () => {
    const { worker, keyStore, ask } = start();
    await using _worker = worker;
    const { key, record } = await drawTestKey({ pictures_per_month: 4 });
    await keyStore.add(record);
    assert.equal((await ask(key, { seed: 1, n: 2 })).status, 200);
    assert.equal((await ask(key, { seed: 1 })).headers.get("x-spectrum-cache"), "hit");
    assert.equal((await ask(key, { seed: 1, n: 2 })).code, "insufficient_quota");
    assert.match((await ask(key, { seed: 9, stream: true })).text, /image_generation.completed/);
    const over = await ask(key, { seed: 1 });
    assert.deepEqual([over.status, over.code], [429, "insufficient_quota"]);
    assert.match(over.headers.get("retry-after")!, /^[1-9]\d*$/);
  });

  it("requests that fail give their pictures back", async () => {
    const pipeline = new FakePipeline({
      beforeStep: () => {
        throw new Error("broken");
      },
    });
    const { worker, keyStore, ask } = start(pipeline);
    await using _worker = worker;
    const { key, record } = await drawTestKey({ pictures_per_month: 1 });
    await keyStore.add(record);
    assert.equal((await ask(key, { seed: 1 })).status, 500);
    assert.match((await ask(key, { seed: 2, stream: true })).text, /event: error/);
    assert.equal((await ask(key, { seed: 3, steps: 0 })).status, 400);
    assert.equal((await ask(key, { seed: 4 })).status, 500);
  });
});
