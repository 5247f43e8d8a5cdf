// The owner of a call's files and batches, and their pictures' cost to a key, as the edge
// tells the batch service.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { createApp } from "../../../routes/app.ts";
import { BatchClient } from "../../../routes/batches/batch_client.ts";
import { MemoryKeyStore } from "../../../routes/keys/memory_key_store.ts";
import { MemoryResultStore } from "../../../protocol/store/results/memory_result_store.ts";
import { WorkerPool } from "../../../routes/runs/worker_pool.ts";
import { drawTestKey } from "../keys/key.ts";

interface Called {
  method: string;
  path: string;
  tenant: string | null;
  body: string;
}

/** An edge before a batch service that answers as `answer` does. */
function startEdge(answer: (call: Called) => Response | undefined, keys: string[] = []) {
  const calls: Called[] = [];
  const keyStore = new MemoryKeyStore();
  const log = () => {};
  const app = createApp({
    ...{ keys, keyStore, log, keeper: false, results: new MemoryResultStore() },
    workers: new WorkerPool({ workers: [], log }),
    batches: new BatchClient({
      url: "http://batches.example",
      async fetch(input, init) {
        const request = new Request(input, init);
        const url = new URL(request.url);
        const call = {
          method: request.method,
          path: url.pathname,
          tenant: url.searchParams.get("tenant"),
          body: await request.text(),
        };
        calls.push(call);
        return answer(call) ?? Response.json({ id: "file-1", pictures: 6 });
      },
    }),
  });
  const ask = (method: string, path: string, key?: string) =>
    app.request(`http://localhost${path}`, {
      method,
      headers: {
        ...key !== undefined && { authorization: `Bearer ${key}` },
        ...method === "POST" && { "content-type": "application/json" },
      },
      ...method === "POST" && {
        body: JSON.stringify({
          input_file_id: "file-1",
          endpoint: "/v1/images/generations",
          completion_window: "24h",
        }),
      },
    }, { remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 1 } });
  return { app, ask, calls, keyStore };
}

describe("batchRoutes()", () => {
  it("treats each plain key, and a machine without keys, as an owner of its own", async () => {
    const { app, ask, calls } = startEdge(() => undefined, ["sk-1", "sk-2"]);
    using _app = app;
    for (const key of ["sk-1", "sk-2", "sk-1"]) {
      for (
        const [method, path] of [
          ["GET", "/v1/files"],
          ["GET", "/v1/files/file-1"],
          ["DELETE", "/v1/files/file-1"],
          ["GET", "/v1/files/file-1/content"],
          ["GET", "/v1/batches"],
          ["GET", "/v1/batches/batch_1"],
          ["POST", "/v1/batches"],
          ["POST", "/v1/batches/batch_1/cancel"],
        ] as const
      ) await (await ask(method, path, key)).body?.cancel();
    }
    const tenants = calls.map(({ tenant }) => tenant!);
    const each = tenants.length / 3;
    assert.equal(new Set(tenants.slice(0, each)).size, 1);
    assert.equal(new Set(tenants).size, 2);
    assert.deepEqual(tenants.slice(0, each), tenants.slice(2 * each));
    assert.ok(tenants.every((tenant) => /^plain-[0-9a-f]{16}$/.test(tenant)));

    const keyless = startEdge(() => undefined);
    using _keyless = keyless.app;
    await keyless.ask("GET", "/v1/files");
    assert.equal(keyless.calls[0]!.tenant, "local");
  });

  it("names batch and count in an order; gives pictures back once unless it may have begun", async () => {
    const refusal = (status: number, code: string) =>
      Response.json({ error: { message: "no", type: "t", param: null, code } }, { status });
    const found = (call: Called) => call.path.startsWith("/batches/") ? call : undefined;
    for (
      const { name, create, find, used, status } of [
        { name: "begun", create: () => Response.json({ id: "b" }), used: 6, status: 200 },
        { name: "refused", create: () => refusal(404, "file_not_found"), used: 0, status: 404 },
        { name: "without room", create: () => refusal(503, "batches_full"), used: 0, status: 503 },
        {
          name: "silent, not begun",
          create: fail,
          find: () => refusal(404, "batch_not_found"),
          used: 0,
          status: 503,
        },
        { name: "silent, begun", create: fail, find: () => Response.json({ id: "b" }), used: 6, status: 200 },
        { name: "silent for long", create: fail, find: fail, used: 6, status: 503 },
      ]
    ) {
      const { app, ask, calls, keyStore } = startEdge((call) => {
        if (found(call)) return find?.();
        return call.method === "POST" ? create() : undefined;
      });
      using _app = app;
      const { key, record } = await drawTestKey({ pictures_per_month: 10 });
      await keyStore.add(record);
      const answer = await ask("POST", "/v1/batches", key);
      assert.equal(answer.status, status, name);
      await answer.body?.cancel();
      const order = JSON.parse(calls.find(({ method }) => method === "POST")!.body);
      assert.match(order.id, /^batch_[0-9a-f]{24}$/);
      assert.equal(order.quota.count, 6);
      assert.equal(await keyStore.used(order.quota.counter), used, name);
    }
  });
});

function fail(): never {
  throw new TypeError("connection refused");
}
