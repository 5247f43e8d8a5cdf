// The edge in this process before a worker whose steps the test controls: faults and coincidences.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { createApp } from "../../routes/app.ts";
import { MemoryKeyStore } from "../../routes/keys/memory_key_store.ts";
import { MemoryResultStore } from "../../protocol/store/results/memory_result_store.ts";
import { FakePipeline } from "../gpu-worker/http/fake_pipeline.ts";
import { testPool } from "./runs/pool.ts";
import { startTestWorker, type TestWorkerOptions } from "../gpu-worker/http/test_worker.ts";
import { until } from "../until.ts";

const LOCAL = { remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 1 } } as const;

function startEdge(workerUrl: string, keys: readonly string[] = []) {
  const logged: string[] = [];
  const app = createApp({
    workers: testPool(workerUrl),
    results: new MemoryResultStore(),
    keys,
    keyStore: new MemoryKeyStore(),
    maxAttempts: 1,
    log: (level, message, fields) => void logged.push(JSON.stringify({ level, message, ...fields })),
  });
  const get = (path: string, headers: Record<string, string> = {}) =>
    app.request(`http://localhost${path}`, { headers }, LOCAL);
  const post = (
    body: unknown,
    signal: AbortSignal | null = null,
    headers: Record<string, string> = {},
  ) =>
    app.request("http://localhost/v1/images/generations", {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
      signal,
    }, LOCAL);
  return { app, get, post, logged };
}

function start(pipeline: FakePipeline, options: TestWorkerOptions = {}) {
  const worker = startTestWorker([pipeline], options);
  return { worker, ...startEdge(worker.url) };
}

/** Fields of each event of a stream. */
function parseEvents(text: string): Record<string, string>[] {
  return text.trim().split("\n\n").map((block) =>
    Object.fromEntries(
      block.split("\n").map((line) => line.split(/: ?(.*)/s).slice(0, 2) as [string, string]),
    )
  ).filter((event) => event.event !== undefined);
}

describe("createApp()", () => {
  it("identical requests at the same time make one run", async () => {
    const pipeline = new FakePipeline();
    const { worker, post } = start(pipeline);
    await using _worker = worker;
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => post({ prompt: "x", seed: 1, steps: 3 })),
    );
    const bodies = await Promise.all(answers.map((answer) => answer.json()));
    assert.equal(new Set(bodies.map(({ data }) => data[0].b64_json)).size, 1);
    assert.equal(pipeline.stepsBegun, 3);
  });

  it("makes runs only for the pictures that are not stored", async () => {
    const pipeline = new FakePipeline();
    const { worker, post } = start(pipeline);
    await using _worker = worker;
    await post({ prompt: "x", seed: 11, steps: 1 });
    const answer = await post({ prompt: "x", seed: 10, n: 3, steps: 1 });
    assert.equal(answer.headers.get("x-spectrum-cache"), "miss");
    const { data } = await answer.json();
    assert.deepEqual(data.map(({ receipt }: { receipt: { cache: string } }) => receipt.cache), [
      "miss",
      "hit",
      "miss",
    ]);
    assert.equal(pipeline.stepsBegun, 3);
  });

  it("a stream of n pictures names its place in all of them", async () => {
    const { worker, post } = start(new FakePipeline());
    await using _worker = worker;
    const answer = await post({ prompt: "x", seed: 1, n: 2, steps: 2, stream: true, progress: true });
    const events = parseEvents(await answer.text());
    assert.match(events[0]!.id!, /^\d+\.\d+$/);
    // Each id is the one before with one number raised: enough to take the stream up again from there.
    for (const [index, { id }] of events.entries()) {
      if (index === 0) continue;
      const [earlier, later] = [events[index - 1]!.id!, id!].map((id) => id.split(".").map(Number));
      assert.ok(
        later!.every((value, picture) => value >= earlier![picture]!),
        `${events[index - 1]!.id} then ${id}`,
      );
    }
    const completed = events.filter(({ event }) => event === "image_generation.completed");
    assert.deepEqual(completed.map(({ data }) => JSON.parse(data!).image_index).sort(), [0, 1]);
  });

  it("refuses n pictures together when the queue has no room for all", async () => {
    const pipeline = new FakePipeline({ beforeStep: () => new Promise(() => {}) });
    const { worker, post } = start(pipeline, { capacity: 1 });
    await using _worker = worker;
    const answer = await post({ prompt: "x", seed: 1, n: 5 });
    assert.equal(answer.status, 429);
    assert.equal(answer.headers.get("retry-after"), "2");
    const { error } = await answer.json();
    assert.deepEqual([error.type, error.code], ["rate_limit_error", "queue_full"]);
    await until(() => !worker.queue.busy && worker.queue.depth === 0);
  });

  it("serves another key's stream and the same key's before a flood of jobs, which leaves room", async () => {
    const seeds: number[] = [];
    const gate = Promise.withResolvers<void>();
    const pipeline = new FakePipeline({
      beforeStep: () => {
        seeds.push(pipeline.request!.seed);
        return gate.promise;
      },
    });
    await using worker = startTestWorker([pipeline], { capacity: 32 });
    const { app, post } = startEdge(worker.url, ["flood", "other"]);
    using _app = app;
    const as = (key: string) => ({ authorization: `Bearer ${key}` });
    const jobs: number[] = [];
    for (let seed = 0; seed < 40; seed++) {
      const answer = await post({ prompt: "x", seed, steps: 1, background: true }, null, as("flood"));
      await answer.body?.cancel();
      jobs.push(answer.status);
      if (answer.status === 429) assert.ok(answer.headers.has("retry-after"));
    }
    assert.equal(jobs.filter((status) => status === 202).length, 12);
    assert.equal(jobs.filter((status) => status === 429).length, 28);
    const streams = [];
    for (const [key, seed] of [["other", 100], ["flood", 101]] as const) {
      streams.push(await post({ prompt: "x", seed, steps: 1, stream: true }, null, as(key)));
    }
    gate.resolve();
    for (const stream of streams) assert.match(await stream.text(), /event: image_generation.completed/);
    await until(() => !worker.queue.busy && worker.queue.depth === 0);
    assert.deepEqual(seeds.slice(0, 4), [0, 100, 101, 1]);
  });

  it("answers a failed run with an error event or a 500, and hides the cause", async () => {
    const pipeline = new FakePipeline({
      beforeStep: (index) => {
        if (index === 1) throw new Error("secret: CUDA error at 0xdead");
      },
    });
    const { worker, post } = start(pipeline);
    await using _worker = worker;
    const stream = await post({ prompt: "x", seed: 1, stream: true, progress: true });
    assert.equal(stream.status, 200);
    const last = parseEvents(await stream.text()).at(-1)!;
    assert.equal(last.event, "error");
    assert.equal(JSON.parse(last.data!).error.type, "server_error");
    assert.doesNotMatch(last.data!, /secret|CUDA/);

    const plain = await post({ prompt: "x", seed: 1 });
    assert.equal(plain.status, 500);
    assert.doesNotMatch(await plain.text(), /secret|CUDA/);
  });

  it("ends all of n pictures when one fails", async () => {
    let steps = 0;
    const pipeline = new FakePipeline({
      beforeStep: () => {
        if (++steps === 3) throw new Error("broken");
      },
    });
    const { worker, post } = start(pipeline);
    await using _worker = worker;
    assert.equal((await post({ prompt: "x", seed: 1, n: 10, steps: 2 })).status, 500);
    await until(() => !worker.queue.busy && worker.queue.depth === 0);
    assert.ok(steps < 20, `${steps} steps of 20`);
  });

  it("answers 503 without a worker, and goes on", async () => {
    const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    closed.close();
    const { get, post } = startEdge(`http://127.0.0.1:${closed.addr.port}`);
    const answer = await post({ prompt: "x" });
    assert.equal(answer.status, 503);
    assert.ok(answer.headers.has("retry-after"));
    const text = await answer.text();
    assert.equal(JSON.parse(text).error.code, "worker_unavailable");
    assert.doesNotMatch(text, /127\.0\.0\.1|refused/);
    assert.equal((await get("/readyz")).status, 503);
    assert.equal((await get("/healthz")).status, 200);
    assert.equal((await get("/")).status, 200);
  });

  it("reports a worker that goes away in mid-run", async () => {
    const { promise: reached, resolve } = Promise.withResolvers<void>();
    const pipeline = new FakePipeline({
      beforeStep: () => {
        resolve();
        return new Promise(() => {});
      },
    });
    const { worker, post } = start(pipeline);
    const answer = post({ prompt: "x", seed: 1 });
    await reached;
    await worker[Symbol.asyncDispose]();
    assert.equal((await answer).status, 503);
  });

  it("prompts, keys and pictures are not logged", async () => {
    const { worker, post, logged } = start(new FakePipeline());
    await using _worker = worker;
    await (await post({ prompt: "my secret wish", seed: 1 })).text();
    await (await post({ prompt: "my secret wish", nonsense: 1 })).text();
    assert.equal(logged.length, 2);
    assert.doesNotMatch(logged.join("\n"), /secret/);
  });

  it("a slow reader does not slow the run", async () => {
    const pipeline = new FakePipeline();
    const { worker, post } = start(pipeline);
    await using _worker = worker;
    const fields = { prompt: "x", seed: 1, steps: 500, spectrum: { method: "none" } };
    const slow = await post({ ...fields, stream: true, progress: true });
    const reader = slow.body!.getReader();
    await reader.read();
    // The same picture, asked for by somebody who reads: it is made although the first one does not.
    assert.equal((await post(fields)).status, 200);
    assert.equal(pipeline.stepsBegun, 500);
    await reader.cancel();
  });

  it("draws half of a surrogate pair as U+FFFD, wherever it stands", async () => {
    const pipeline = new FakePipeline();
    const { app, worker, post } = start(pipeline);
    await using _worker = worker;
    const half = "dog \ud83d face";
    const requests: object[] = [
      { prompt: half },
      { prompt: half, seed: 1 },
      { prompt: half, stream: true },
      { prompt: half, background: true },
      { prompt: "x", negative_prompt: half, true_cfg_scale: 2 },
      { prompt: "x", user: half },
      { prompt: "x", user: half, seed: 1 },
    ];
    for (const fields of requests) {
      const answer = await post(fields, null, { "idempotency-key": crypto.randomUUID() });
      const text = await answer.text();
      assert.ok([200, 202].includes(answer.status), `${JSON.stringify(fields)} ${answer.status} ${text}`);
      assert.doesNotMatch(text, /event: error/);
    }
    await post({ prompt: half, seed: 7 });
    assert.equal(pipeline.request!.prompt, "dog \ufffd face");
    // One text, one key.
    const { data } = await (await post({ prompt: half.toWellFormed(), seed: 7 })).json();
    assert.equal(data[0].receipt.cache, "hit");
    // An error's excerpt does not end within a character either.
    const refused = await (await post({ ["x".repeat(59) + "🐶"]: 1, prompt: "x" })).json();
    assert.ok(refused.error.param.isWellFormed() && refused.error.message.isWellFormed());
    for (const path of ["/v1/videos", "/v1/batches", "/v1/jobs"]) {
      const answer = await app.request(`http://localhost${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ prompt: half, input_file_id: half, metadata: { [half]: half } }),
      }, LOCAL);
      assert.ok(answer.status < 500, `${path} ${answer.status}`);
    }
  });

  it("disposing of the app ends every timer that it has started", () => {
    const { setInterval, clearInterval } = globalThis;
    const running = new Set<unknown>();
    let started = 0;
    using _globals = { [Symbol.dispose]: () => Object.assign(globalThis, { setInterval, clearInterval }) };
    Object.assign(globalThis, {
      setInterval(...args: Parameters<typeof setInterval>) {
        const timer = setInterval(...args);
        running.add(timer);
        started++;
        return timer;
      },
      clearInterval(timer: Parameters<typeof clearInterval>[0]) {
        running.delete(timer);
        clearInterval(timer);
      },
    });
    startEdge("http://127.0.0.1:9").app[Symbol.dispose]();
    assert.deepEqual([started > 0, running.size], [true, 0]);
  });

  it("puts the request's id on every answer, refusals and failures too", async () => {
    const { get } = startEdge("http://127.0.0.1:9");
    for (const path of ["/", "/docs", "/healthz", "/nowhere", "/v1/jobs/job_1", "/v1/models"]) {
      const { status, headers } = await get(path, { "x-request-id": "request-1" });
      assert.equal(headers.get("x-request-id"), "request-1", `${path} ${status}`);
    }
  });

  it("keeps the client's x-request-id if it is valid, and draws one otherwise", async () => {
    const { worker, get } = start(new FakePipeline());
    await using _worker = worker;
    const answered = async (given: string) =>
      (await get("/v1/models", { "x-request-id": given })).headers.get("x-request-id")!;
    assert.equal(await answered("trace-0123456789"), "trace-0123456789");
    for (const given of ["dot.colon:", `x${"y".repeat(64)}`, "spaces in the id"]) {
      assert.match(await answered(given), /^req_[0-9a-f]{32}$/);
    }
  });
});
