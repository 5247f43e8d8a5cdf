// Jobs at an edge in this process, before a worker whose steps the test controls.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import OpenAI from "openai";
import { MemoryRunLog } from "../../../protocol/store/run_log/memory_run_log.ts";
import { AGENDA } from "../../../routes/jobs/jobs.ts";
import { Webhooks } from "../../../routes/jobs/webhooks.ts";
import { MemoryStateStore } from "../../../routes/state/memory_state_store.ts";
import { FakePipeline } from "../../gpu-worker/http/fake_pipeline.ts";
import { drawTestKey } from "../keys/key.ts";
import { counterOf, eventsOf, held, startJobs } from "./jobs.ts";
import { until } from "../../until.ts";
import { EndingState } from "./ending_state.ts";

describe("jobs", () => {
  it("background: true answers 202 at once and leads to a plain request's result", async () => {
    const { pipeline, go } = held();
    const { worker, ask, generate, jobUntil } = startJobs(pipeline);
    await using _worker = worker;
    const answer = await generate({ seed: 1, n: 2, background: true });
    const job = await answer.json();
    assert.equal(answer.status, 202);
    assert.equal(answer.headers.get("location"), `/v1/jobs/${job.id}`);
    assert.deepEqual([job.object, job.kind, job.result, job.error], ["job", "image_generation", null, null]);
    assert.ok(["queued", "in_progress"].includes(job.status));
    go();
    const { result, progress, completed_at } = await jobUntil(job.id, "completed");
    assert.ok(progress === 100 && completed_at >= job.created_at);
    const plain = await (await generate({ seed: 1, n: 2 })).json();
    const pictures = (images: { data: { b64_json: string; seed: number }[] }) =>
      images.data.map(({ b64_json, seed }) => ({ b64_json, seed }));
    assert.deepEqual(pictures(result), pictures(plain));
    assert.equal((await ask("GET", "/jobs/job_00000000000000000000000000000000")).status, 404);
  });

  it("Prefer: respond-async answers 202 and confirms the preference", async () => {
    const { worker, generate, jobUntil } = startJobs(new FakePipeline());
    await using _worker = worker;
    const answer = await generate({}, { headers: { prefer: "wait=5, respond-async" } });
    assert.deepEqual([answer.status, answer.headers.get("preference-applied")], [202, "respond-async"]);
    assert.equal((await jobUntil((await answer.json()).id, "completed")).result.data.length, 1);
  });

  it("events can be read from any place on, with a ticket in place of a key, until 204", async () => {
    const { worker, ask, generate, keyStore } = startJobs(new FakePipeline());
    await using _worker = worker;
    const { key, record } = await drawTestKey();
    await keyStore.add(record);
    const headers = { authorization: `Bearer ${key}` };
    const job =
      await (await generate({ seed: 1, n: 2, steps: 3, partial_images: 1, background: true }, { headers }))
        .json();
    const whole = eventsOf(await (await ask("GET", `/jobs/${job.id}/events`, { headers })).text());
    assert.equal(whole.filter(({ event }) => event === "image_generation.completed").length, 2);
    assert.equal(whole.filter(({ event }) => event === "image_generation.progress").length, 6);
    assert.equal(whole.filter(({ event }) => event === "image_generation.partial_image").length, 2);
    const { url } = await (await ask("POST", `/jobs/${job.id}/tickets`, { headers })).json();
    const path = url.slice("/v1".length);
    const from = async (id: string) => await ask("GET", path, { headers: { "last-event-id": id } });
    const rest = eventsOf(await (await from(whole[4]!.id)).text());
    // Pictures come side by side: what is left of each is the same, in its own order.
    const datas = (events: typeof whole) => events.map(({ event, data }) => event + data.slice(0, 60)).sort();
    assert.deepEqual(datas(rest), datas(whole.slice(5)));
    assert.equal((await from(whole.at(-1)!.id)).status, 204);
    assert.equal((await from("1")).status, 400);
    assert.equal((await ask("GET", `/jobs/${job.id}/events?ticket=${"0".repeat(64)}`)).status, 401);
    assert.equal((await ask("GET", `${path.replace("/events", "")}`)).status, 401);
    assert.equal((await ask("GET", `/jobs/${job.id}`)).status, 401);
    const other = await drawTestKey();
    await keyStore.add(other.record);
    const foreign = { headers: { authorization: `Bearer ${other.key}` } };
    assert.equal((await ask("GET", `/jobs/${job.id}`, foreign)).status, 404);
  });

  it("POST /jobs/{id}/cancel ends the run, unless somebody else waits for it", async () => {
    const { pipeline, go } = held();
    const { worker, ask, generate } = startJobs(pipeline);
    await using _worker = worker;
    const submit = async (seed: number) => await (await generate({ seed, background: true })).json();
    const cancel = async (id: string) => await (await ask("POST", `/jobs/${id}/cancel`)).json();
    const alone = await submit(1);
    const shared = await submit(2);
    const waiting = generate({ seed: 2 });
    await until(() => pipeline.stepsBegun === 1);
    assert.equal((await cancel(alone.id)).status, "cancelled");
    assert.equal((await cancel(alone.id)).status, "cancelled");
    await until(() => pipeline.request?.seed === 2);
    assert.equal((await cancel(shared.id)).status, "cancelled");
    go();
    assert.equal((await waiting).status, 200);
    const events = eventsOf(await (await ask("GET", `/jobs/${alone.id}/events`)).text());
    assert.equal(events.at(-1)!.event, "error");
    // A connection's own run is not another's to end.
    const stream = await generate({ seed: 3, stream: true });
    const id = stream.headers.get("x-spectrum-job");
    await stream.text();
    assert.equal((await ask("POST", `/jobs/${id}/cancel`)).status, 409);
  });

  it("a job that fails says why, and gives its pictures back", async () => {
    const pipeline = new FakePipeline({
      beforeStep: () => {
        throw new Error("secret");
      },
    });
    const { worker, generate, jobUntil, keyStore } = startJobs(pipeline);
    await using _worker = worker;
    const { key, record } = await drawTestKey({ pictures_per_month: 1 });
    await keyStore.add(record);
    const headers = { authorization: `Bearer ${key}` };
    const { id } = await (await generate({ seed: 1, background: true }, { headers })).json();
    const job = await jobUntil(id, "failed", headers);
    assert.equal(job.error.type, "server_error");
    assert.doesNotMatch(JSON.stringify(job), /secret/);
    await until(async () => await keyStore.used(counterOf(record)) === 0);
  });

  it("a job that fails while its stream is read gives its pictures back once", async () => {
    const pipeline = new FakePipeline({
      beforeStep: () => {
        throw new Error("secret");
      },
    });
    const state = new MemoryStateStore();
    const { worker, generate, keyStore } = startJobs(pipeline, { state });
    await using _worker = worker;
    const { key, record } = await drawTestKey({ pictures_per_month: 9 });
    await keyStore.add(record);
    const headers = { authorization: `Bearer ${key}` };
    await keyStore.take({ counter: counterOf(record), amount: 3, limit: 9, ttlMs: 60_000 });
    const stream = await generate({ seed: 1, background: true, stream: true }, { headers });
    assert.equal(eventsOf(await stream.text()).at(-1)!.event, "error");
    await until(async () => (await state.latest(AGENDA, 1)).length === 0);
    assert.equal(await keyStore.used(counterOf(record)), 3);
  });

  it("a keeper that stops between a job's end and its quota gives the pictures back once", async () => {
    const pipeline = new FakePipeline({
      beforeStep: () => {
        throw new Error("secret");
      },
    });
    let passed = 0;
    const state = new EndingState({ now: () => Date.now() + passed });
    const { worker, generate, jobUntil, keyStore } = startJobs(pipeline, { state });
    await using _worker = worker;
    const { key, record } = await drawTestKey({ pictures_per_month: 9 });
    await keyStore.add(record);
    const headers = { authorization: `Bearer ${key}` };
    await keyStore.take({ counter: counterOf(record), amount: 3, limit: 9, ttlMs: 60_000 });
    const { id } = await (await generate({ seed: 1, background: true }, { headers })).json();
    await until(() => state.ends === 1);
    assert.equal(await keyStore.used(counterOf(record)), 4);
    // Another edge takes over when the lease has run out.
    passed = 31_000;
    await jobUntil(id, "failed", headers);
    await until(async () => (await state.latest(AGENDA, 1)).length === 0);
    assert.equal(state.ends, 1);
    assert.equal(await keyStore.used(counterOf(record)), 3);
  });

  it("an edge without a keeper leaves a job's end to edges that have one", async () => {
    const state = new MemoryStateStore();
    const { worker, generate, jobUntil } = startJobs(new FakePipeline(), { state, keeper: false });
    await using _worker = worker;
    const { id } = await (await generate({ seed: 1, background: true })).json();
    await jobUntil(id, "completed");
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.deepEqual(await state.claimDue(AGENDA, { leaseMs: 1, limit: 1 }), [id]);
  });

  it("a webhook is told until it accepts, with a signature that OpenAI's client verifies", async () => {
    const secret = `whsec_${crypto.getRandomValues(new Uint8Array(24)).toBase64()}`;
    const told: { body: string; headers: Headers }[] = [];
    const receiver = async (_url: URL | RequestInfo, init?: RequestInit) => {
      told.push({ body: await new Response(init!.body!).text(), headers: new Headers(init!.headers!) });
      return new Response(null, { status: told.length < 3 ? 500 : 200 });
    };
    const webhooks = { secret, origins: ["https://client.example"], fetch: receiver };
    const { worker, generate } = startJobs(new FakePipeline(), { webhooks });
    await using _worker = worker;
    const fields = { background: true, webhook: "https://client.example/hook" };
    const { id } = await (await generate(fields)).json();
    await until(() => told.length === 3);
    const client = new OpenAI({ apiKey: "x", webhookSecret: secret });
    for (const { body, headers } of told) {
      const event = await client.webhooks.unwrap(body, headers) as unknown as { type: string; data: object };
      assert.deepEqual([event.type, event.data], ["job.completed", { id, kind: "image_generation" }]);
    }
    assert.equal(new Set(told.map(({ headers }) => headers.get("webhook-id"))).size, 1);
    await assert.rejects(async () => await client.webhooks.unwrap(`${told[0]!.body} `, told[0]!.headers));
    for (const refused of [{ ...fields, webhook: "http://169.254.169.254/" }, { webhook: fields.webhook }]) {
      const answer = await generate(refused);
      assert.deepEqual([answer.status, (await answer.json()).error.param], [400, "webhook"]);
    }
  });
  it("a video's webhook receives OpenAI's event types", async () => {
    const secret = `whsec_${crypto.getRandomValues(new Uint8Array(24)).toBase64()}`;
    const told: { body: string; headers: Headers }[] = [];
    const receiver = async (_url: URL | RequestInfo, init?: RequestInit) => {
      told.push({ body: await new Response(init!.body!).text(), headers: new Headers(init!.headers!) });
      return new Response(null, { status: 200 });
    };
    const webhooks = { secret, origins: ["https://client.example"], fetch: receiver };
    const pipeline = new FakePipeline({
      video: true,
      beforeStep: () => {
        if (pipeline.request!.prompt === "fails") throw new Error("secret");
      },
    });
    const { worker, ask } = startJobs(pipeline, { webhooks, maxAttempts: 1 });
    await using _worker = worker;
    const webhook = "https://client.example/hook";
    const create = async (prompt: string) =>
      await (await ask("POST", "/videos", { body: { prompt, seed: 1, webhook, output_format: "gif" } }))
        .json();
    const [fine, failed] = [await create("x"), await create("fails")];
    await until(() => told.length === 2);
    const client = new OpenAI({ apiKey: "x", webhookSecret: secret });
    const events = await Promise.all(told.map(({ body, headers }) => client.webhooks.unwrap(body, headers)));
    assert.deepEqual(
      new Map(events.map((event) => [(event.data as { id: string }).id, event.type])),
      new Map([[fine.id, "video.completed"], [failed.id, "video.failed"]]),
    );
    const refused = await ask("POST", "/videos", {
      body: { prompt: "x", webhook: "https://other.example/" },
    });
    assert.deepEqual([refused.status, (await refused.json()).error.param], [400, "webhook"]);
  });

  it("receivers of one key that hang keep no other key's webhook waiting", async () => {
    let hanging = 0;
    let isTold = false;
    const receiver = (url: URL | RequestInfo) => {
      if (String(url).endsWith("/well")) {
        isTold = true;
        return Promise.resolve(new Response());
      }
      hanging++;
      return new Promise<Response>(() => {});
    };
    const secret = `whsec_${crypto.getRandomValues(new Uint8Array(24)).toBase64()}`;
    const webhooks = { secret, origins: ["https://client.example"], fetch: receiver };
    const { worker, generate, keyStore } = startJobs(new FakePipeline(), { webhooks });
    await using _worker = worker;
    const send = async (path: string, count: number) => {
      const { key, record } = await drawTestKey();
      await keyStore.add(record);
      const headers = { authorization: `Bearer ${key}` };
      for (let seed = 0; seed < count; seed++) {
        const webhook = `https://client.example/${path}`;
        assert.equal(
          (await generate({ seed, steps: 1, background: true, webhook }, { headers })).status,
          202,
        );
      }
    };
    await send("hangs", 30);
    await until(() => hanging > 0);
    await send("well", 1);
    await until(() => isTold);
    assert.ok(hanging <= 4, `${hanging} hang at a time`);
  });
});

describe("polling", () => {
  it("reads a job's result only for a caller that asks for the result", async () => {
    let reads = 0;
    class Runs extends MemoryRunLog {
      override last = (id: string) => (reads++, super.last(id));
    }
    const { pipeline, go } = held();
    const { worker, ask, generate, jobUntil } = startJobs(pipeline, { runs: new Runs(), keeper: false });
    await using _worker = worker;
    const { id } = await (await generate({ seed: 1, background: true, partial_images: 1 })).json();
    assert.equal((await ask("GET", `/jobs/${id}`)).headers.get("etag"), null);
    go();
    const job = await jobUntil(id, "completed");
    assert.ok(job.result.data[0].b64_json);
    assert.equal(reads, 1);
    const etag = (await ask("GET", `/jobs/${id}`)).headers.get("etag")!;
    assert.equal(reads, 2);
    for (let poll = 0; poll < 3; poll++) {
      const answer = await ask("GET", `/jobs/${id}`, { headers: { "if-none-match": etag } });
      assert.deepEqual([answer.status, await answer.text()], [304, ""]);
    }
    const last = { headers: { "last-event-id": "999" } };
    assert.equal((await ask("GET", `/jobs/${id}/events`, last)).status, 204);
    assert.equal((await ask("POST", `/jobs/${id}/cancel`)).status, 200);
    assert.equal(reads, 3);
    // An answer with an address has a new address each time.
    const url = await (await generate({ seed: 1, background: true, response_format: "url" })).json();
    await jobUntil(url.id, "completed");
    assert.equal((await ask("GET", `/jobs/${url.id}`)).headers.get("etag"), null);
  });
});

describe("Webhooks", () => {
  it("check() takes '*' for public names by https, not for the operator's own network", () => {
    const secret = new Uint8Array(24).toBase64();
    const all = new Webhooks({ secret, origins: ["*", "http://10.0.0.7:8080"], log: () => {} });
    for (
      const url of ["https://client.example/hook", "https://client.example.:8443", "http://10.0.0.7:8080/x"]
    ) {
      all.check(url);
    }
    for (
      const url of [
        ...["http://client.example", "https://10.0.0.7:8080", "https://127.1", "https://0x7f000001"],
        ...["https://[::1]", "https://[::ffff:10.0.0.7]", "https://localhost", "https://a.localhost."],
        ...["https://redis", "https://metadata.google.internal", "https://printer.local"],
      ]
    ) assert.throws(() => all.check(url), { code: "webhook_not_allowed" }, url);
  });

  it("tellBatch() sends OpenAI's event, signed as its client checks it", async () => {
    const secret = `whsec_${new Uint8Array(24).toBase64()}`;
    const sent: { body: string; headers: Headers }[] = [];
    const webhooks = new Webhooks({
      secret,
      origins: ["*"],
      log: () => {},
      fetch: (_, init) => {
        sent.push({ body: init!.body as string, headers: new Headers(init!.headers) });
        return Promise.resolve(new Response(null, { status: sent.length === 1 ? 503 : 204 }));
      },
    });
    const batch = { id: "batch_0a", webhook: "https://client.example/hook" };
    const end = { status: "expired", at: 1_700_000_000_000 } as const;
    assert.deepEqual([await webhooks.tellBatch(batch, end), await webhooks.tellBatch(batch, end)], [
      false,
      true,
    ]);
    const client = new OpenAI({ apiKey: "unused", webhookSecret: secret });
    for (const { body, headers } of sent) {
      const event = await client.webhooks.unwrap(body, headers);
      assert.deepEqual([event.type, event.id, event.created_at], ["batch.expired", "evt_0a", 1_700_000_000]);
      assert.deepEqual(event.data, { id: "batch_0a" });
    }
  });
});
