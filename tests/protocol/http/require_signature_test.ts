import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Hono } from "hono";
import { NonceStore } from "../../../protocol/http/nonce_store.ts";
import { requireSignature, type RequireSignatureOptions } from "../../../protocol/http/require_signature.ts";
import { ApiError } from "../../../protocol/wire/api_error.ts";
import { INSTANCE_HEADER, SIGNATURE_HEADERS, signRequest } from "../../../protocol/http/sign_request.ts";
import { WorkerClient } from "../../../routes/runs/worker_client.ts";
import { FakePipeline } from "../../gpu-worker/http/fake_pipeline.ts";
import { startTestWorker } from "../../gpu-worker/http/test_worker.ts";

const SECRET = "a".repeat(32);
const NOW = 1_750_000_000_000;
const BODY = `{"prompt":"x"}`;

function guarded({ now = () => NOW, nonces, instance }: RequireSignatureOptions = {}) {
  const app = new Hono();
  app.use(requireSignature(SECRET, { now, instance, maxBytes: 1000, ...nonces && { nonces } }));
  app.post("/runs", async (c) => c.text(await c.req.raw.text()));
  app.get("/runs/:id/events", (c) => c.text("events"));
  app.delete("/runs/:id", (c) => c.text("deleted"));
  for (const path of ["/healthz", "/readyz", "/metrics"]) app.get(path, (c) => c.text("open"));
  app.onError((cause) => ApiError.from(cause).toResponse());
  return app;
}

interface Call {
  method: string;
  url: string;
  headers: Record<string, string>;
  body?: string;
}

async function signed(fields: Partial<Call> = {}, { secret = SECRET, at = NOW } = {}): Promise<Call> {
  const { method = "POST", url = "http://worker/runs?a=1" } = fields;
  const body = method === "POST" ? fields.body ?? BODY : undefined;
  const headers = await signRequest(secret, { method, url: new URL(url), body, now: () => at });
  return { method, url, headers, ...body !== undefined && { body } };
}

async function send(app: Hono, { url, ...init }: Call): Promise<string> {
  const response = await app.request(url, init);
  if (response.ok) return await response.text();
  const { error } = await response.json();
  assert.equal(response.status === 401 ? "authentication_error" : "server_error", error.type);
  return `${response.status} ${error.code}`;
}

describe("requireSignature()", () => {
  it("passes signed calls on with their bodies", async () => {
    const app = guarded();
    assert.equal(await send(app, await signed()), BODY);
    assert.equal(
      await send(app, await signed({ method: "GET", url: "http://worker/runs/1/events" })),
      "events",
    );
    assert.equal(await send(app, await signed({ method: "DELETE", url: "http://worker/runs/1" })), "deleted");
  });

  it("refuses unsigned calls before it reads their bodies", async () => {
    const body = new ReadableStream({ pull: () => assert.fail("the body was read") }, { highWaterMark: 0 });
    const response = await guarded().request("http://worker/runs", { method: "POST", body });
    assert.deepEqual([response.status, (await response.json()).error.code], [401, "missing_signature"]);
  });

  it("leaves the operators' routes open", async () => {
    for (const path of ["/healthz", "/readyz", "/metrics"]) {
      assert.equal(
        await send(guarded(), { method: "GET", url: `http://worker${path}`, headers: {} }),
        "open",
      );
    }
  });

  it("refuses a call that was altered anywhere", async () => {
    const app = guarded();
    const call = await signed();
    const alterations: Partial<Call>[] = [
      { url: "http://worker/runs?a=2" },
      { url: "http://worker/runs" },
      { url: "http://worker/Runs?a=1" },
      { method: "PUT" },
      { body: `{"prompt":"y"}` },
      { body: "" },
      ...Object.entries(SIGNATURE_HEADERS).map(([field, name]) => ({
        headers: {
          ...call.headers,
          [name]: field === "timestamp" ? String(NOW + 1) : flip(call.headers[name]!),
        },
      })),
    ];
    for (const alteration of alterations) {
      // Altered one by one, each from a call of its own: a nonce once seen would hide what is asked.
      const { headers } = await signed();
      const altered = { ...call, headers, ...alteration };
      assert.equal(await send(app, altered), "401 invalid_signature", JSON.stringify(alteration));
    }
    assert.equal(await send(app, call), BODY);
  });

  it("treats a call that lacks any of the headers as unsigned", async () => {
    for (const name of Object.values(SIGNATURE_HEADERS)) {
      const call = await signed();
      delete call.headers[name];
      assert.equal(await send(guarded(), call), "401 missing_signature", name);
    }
  });

  it("refuses a call that another secret has signed", async () => {
    assert.equal(
      await send(guarded(), await signed({}, { secret: "b".repeat(32) })),
      "401 invalid_signature",
    );
  });

  it("serves a call once", async () => {
    const app = guarded();
    const call = await signed();
    assert.equal(await send(app, call), BODY);
    assert.equal(await send(app, call), "401 replayed_signature");
  });

  it("refuses a replay for as long as its timestamp is valid", async () => {
    let now = NOW;
    const app = guarded({ now: () => now });
    // The edge's clock is a minute ahead of ours: good for two.
    const call = await signed({}, { at: NOW + 60_000 });
    assert.equal(await send(app, call), BODY);
    now = NOW + 120_000;
    assert.equal(await send(app, await signed({}, { at: now })), BODY);
    assert.equal(await send(app, call), "401 replayed_signature");
    now++;
    assert.equal(await send(app, call), "401 stale_signature");
  });

  it("calls from more than a minute ago, or ahead, are refused", async () => {
    for (const [offset, answer] of [[60_000, BODY], [60_001, "401 stale_signature"]] as const) {
      for (const at of [NOW - offset, NOW + offset]) {
        assert.equal(await send(guarded(), await signed({}, { at })), answer, `${at - NOW} ms`);
      }
    }
  });

  it("refuses new calls rather than forget old ones when its memory is full", async () => {
    let now = NOW;
    const app = guarded({ now: () => now, nonces: new NonceStore({ capacity: 2, now: () => now }) });
    const call = await signed();
    assert.equal(await send(app, call), BODY);
    assert.equal(await send(app, await signed()), BODY);
    assert.equal(await send(app, await signed()), "503 too_many_calls");
    assert.equal(await send(app, call), "401 replayed_signature");
    now += 60_001;
    assert.equal(await send(app, await signed({}, { at: now })), BODY);
  });

  it("refuses a call for another process, and for its own before a restart", async () => {
    const url = "http://worker/runs?a=1";
    const headers = await signRequest(SECRET, {
      method: "POST",
      url: new URL(url),
      body: BODY,
      instance: "a",
      now: () => NOW,
    });
    const call = { method: "POST", url, headers, body: BODY };
    assert.equal(await send(guarded({ instance: "a" }), call), BODY);
    assert.equal(await send(guarded({ instance: "b" }), call), "401 other_instance");
    const renamed = { ...call, headers: { ...headers, [INSTANCE_HEADER]: "b" } };
    assert.equal(await send(guarded({ instance: "b" }), renamed), "401 invalid_signature");
    const { [INSTANCE_HEADER]: _, ...unnamed } = headers;
    assert.equal(
      await send(guarded({ instance: "a" }), { ...call, headers: unnamed }),
      "401 invalid_signature",
    );
    assert.equal(await send(guarded({ instance: "a" }), await signed()), "401 other_instance");
    const open = await guarded({ instance: "a" }).request("http://worker/healthz");
    assert.equal(open.headers.get(INSTANCE_HEADER), "a");
  });

  it("WorkerClient signs for the worker that it calls, and goes on when that is restarted", async () => {
    const captured: Request[] = [];
    await using first = startTestWorker([new FakePipeline()], { secret: SECRET });
    const client = new WorkerClient({
      url: first.url,
      secret: SECRET,
      fetch: (input, init) => {
        const request = new Request(input, init);
        captured.push(request.clone());
        return fetch(request);
      },
    });
    await client.submit({ model: "fake", prompt: "x", seed: 1 });
    const port = Number(new URL(first.url).port);
    const replay = async (url: string) => {
      const request = captured.find(({ method }) => method === "POST")!.clone();
      const answer = await fetch(new URL("/runs", url), {
        method: "POST",
        headers: request.headers,
        body: await request.text(),
      });
      return (await answer.json()).error?.code;
    };
    assert.equal(await replay(first.url), "replayed_signature");
    await using other = startTestWorker([new FakePipeline()], { secret: SECRET });
    assert.equal(await replay(other.url), "other_instance");
    await first[Symbol.asyncDispose]();
    await using second = startTestWorker([new FakePipeline()], { secret: SECRET, port });
    assert.equal(await replay(second.url), "other_instance");
    assert.equal((await client.submit({ model: "fake", prompt: "x", seed: 2 })).position, 0);
  });

  it("WorkerClient signs every call", async () => {
    await using worker = startTestWorker([new FakePipeline()], { secret: SECRET });
    const client = new WorkerClient({ url: worker.url, secret: SECRET });
    assert.equal((await client.models()).length, 1);
    const { id } = await client.submit({ model: "fake", prompt: "x", seed: 1 });
    const types: string[] = [];
    for await (const { event } of client.events(id, { after: 0, signal: new AbortController().signal })) {
      types.push(event.type);
    }
    assert.equal(types.at(-1), "completed");
    await client.cancel(id);
    assert.equal(await client.ready(), true);
  });

  it("a client of an edge with the wrong secret learns nothing of it", async () => {
    await using worker = startTestWorker([new FakePipeline()], { secret: SECRET });
    for (const secret of [undefined, "b".repeat(32)]) {
      await assert.rejects(new WorkerClient({ url: worker.url, secret }).models(), (error: ApiError) => {
        assert.deepEqual([error.status, error.code], [503, "worker_unavailable"]);
        assert.match(String(error.cause), /refused this edge/);
        return true;
      });
    }
  });
});

/** Another hexadecimal digit in front. */
function flip(text: string): string {
  return (text.startsWith("0") ? "1" : "0") + text.slice(1);
}
