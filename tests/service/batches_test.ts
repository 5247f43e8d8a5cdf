// Batches with the official client: edge, batch services, workers (fake pipelines) and redis-server
// as processes of their own.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { Redis } from "ioredis";
import OpenAI from "openai";
import { type RedisServer, startRedisServer } from "../../deploy/redis_rest/redis_server.ts";
import type { BatchResult } from "../../protocol/wire/batch.ts";
import { readMetrics, type RunningTask, startDeno, startFakeWorker, startTask } from "./service.ts";
import { until } from "../until.ts";
import { skipWithout } from "../installed.ts";

const LISTENING = /"message":"listening","url":"([^"]+)"/;
const SECRET = "the secret that all of them share: 0123456789";
/** Processes that are killed during one batch. */
const KILLS = 8;
const ENDPOINT = "/v1/images/generations";

interface Line {
  custom_id: string;
  method?: string;
  url?: string;
  body: Record<string, unknown>;
}

function toFile(lines: readonly Line[]): Promise<File> {
  const text = lines.map((line) => JSON.stringify({ method: "POST", url: ENDPOINT, ...line })).join("\n");
  return OpenAI.toFile(new TextEncoder().encode(text), "requests.jsonl");
}

const portOf = (task: RunningTask) => new URL(task.found).port;

describe("batches", { skip: skipWithout("redis-server") }, () => {
  let redis: RedisServer;
  let edge: RunningTask;
  let client: OpenAI;
  const workers: RunningTask[] = [];
  const services: RunningTask[] = [];
  const startWorker = (port = "0") =>
    startFakeWorker(["--port", port, "--step-ms", "3"], { SPECTRUM_WORKER_SECRET: SECRET });
  const startBatches = (port = "0") =>
    startDeno([
      ...["run", "-A", "deploy/batches/main.ts", "--redis", redis.url, "--port", port],
      ...["--concurrency", "4", "--lock-ms", "2000"],
    ], {
      env: { SPECTRUM_WORKERS: workers.map(({ found }) => found).join(), SPECTRUM_WORKER_SECRET: SECRET },
      until: LISTENING,
    });

  before(async () => {
    redis = await startRedisServer();
    workers.push(...await Promise.all([startWorker(), startWorker()]));
    services.push(...await Promise.all([1, 2, 3].map(() => startBatches())));
    edge = await startTask("edge", {
      env: {
        PORT: "0",
        SPECTRUM_WORKERS: workers[0]!.found,
        SPECTRUM_WORKER_SECRET: SECRET,
        SPECTRUM_BATCHES: services[0]!.found,
      },
      until: LISTENING,
    });
    client = new OpenAI({ baseURL: `${edge.found}/v1`, apiKey: "unused", maxRetries: 5 });
  });
  after(async () => {
    await Promise.all([edge, ...services, ...workers].map((task) => task[Symbol.asyncDispose]()));
    await redis[Symbol.asyncDispose]();
  });

  async function createBatch(lines: readonly Line[], fields: Partial<OpenAI.BatchCreateParams> = {}) {
    const file = await client.files.create({ file: await toFile(lines), purpose: "batch" });
    return await client.batches.create({
      input_file_id: file.id,
      endpoint: ENDPOINT as OpenAI.BatchCreateParams["endpoint"],
      completion_window: "24h",
      ...fields,
    });
  }

  function ended(id: string): Promise<OpenAI.Batch> {
    return until(async () => {
      const batch = await client.batches.retrieve(id);
      return ["completed", "failed", "cancelled", "expired"].includes(batch.status) && batch;
    }, { within: 240_000, every: 20 });
  }

  async function results(fileId: string | null | undefined): Promise<BatchResult[]> {
    const text = await (await client.files.content(fileId!)).text();
    return text.trimEnd().split("\n").map((line) => JSON.parse(line));
  }

  it("batches.create() has every request answered, in order, and says which were refused", async () => {
    const lines = [
      { custom_id: "red", body: { prompt: "red", seed: 30 } },
      { custom_id: "wrong size", body: { prompt: "x", size: "15x15" } },
      { custom_id: "drawn", body: { prompt: "x", n: 2 } },
    ];
    const batch = await ended((await createBatch(lines, { metadata: { whose: "a test" } })).id);
    assert.deepEqual([batch.status, batch.metadata], ["completed", { whose: "a test" }]);
    assert.deepEqual(batch.request_counts, { total: 3, completed: 2, failed: 1 });
    const [red, drawn] = await results(batch.output_file_id);
    const picture = await client.images.generate(
      { prompt: "red", seed: 30 } as OpenAI.ImageGenerateParamsNonStreaming,
    );
    const body = red!.response!.body as OpenAI.ImagesResponse;
    assert.deepEqual([red!.custom_id, red!.response!.status_code, red!.error], ["red", 200, null]);
    assert.equal(body.data![0]!.b64_json, picture.data![0]!.b64_json);
    assert.equal((drawn!.response!.body as OpenAI.ImagesResponse).data!.length, 2);
    const [refused] = await results(batch.error_file_id);
    assert.deepEqual([refused!.custom_id, refused!.response!.status_code], ["wrong size", 400]);
    const output = await client.files.retrieve(batch.output_file_id!);
    assert.equal(output.bytes, (await (await client.files.content(output.id)).bytes()).length);
  });

  it("a batch fails when its file has faulty lines, and names them", async () => {
    const batch = await ended(
      (await createBatch([
        { custom_id: "a", body: { prompt: "x" } },
        { custom_id: "a", body: { prompt: "x" } },
        { custom_id: "b", url: "/v1/videos", body: {} },
        { custom_id: "c", body: { prompt: "x", stream: true } },
      ])).id,
    );
    assert.equal(batch.status, "failed");
    assert.deepEqual(batch.errors!.data!.map(({ line, code }) => [line, code]), [
      [2, "duplicate_custom_id"],
      [3, "invalid_request"],
      [4, "invalid_request"],
    ]);
    const queue = new Redis(redis.url);
    assert.ok(await queue.ttl(`spectrum:batches:batch:${batch.id}`) > 0);
    queue.disconnect();
  });

  it("batches.cancel() ends a batch with its results so far; lists and deletions are OpenAI's", async () => {
    const lines = Array.from({ length: 100 }, (_, index) => ({
      custom_id: `c${index}`,
      body: { prompt: "x", seed: 50_000 + index },
    }));
    const { id } = await createBatch(lines);
    await until(async () => (await client.batches.retrieve(id)).request_counts!.completed > 0, { every: 0 });
    await client.batches.cancel(id);
    const batch = await ended(id);
    assert.equal(batch.status, "cancelled");
    const answered = await results(batch.output_file_id);
    const left = await results(batch.error_file_id);
    assert.equal(answered.length + left.length, 100);
    assert.ok(left.length > 0 && left.every(({ error }) => error?.code === "batch_cancelled"));
    await assert.rejects(client.batches.cancel(id, { maxRetries: 0 }), OpenAI.ConflictError);

    const listed: string[] = [];
    for await (const { id } of client.batches.list({ limit: 1 })) listed.push(id);
    assert.deepEqual([listed[0], listed.length], [id, 3]);
    const { data: [newest] } = await client.files.list();
    assert.deepEqual(await client.files.delete(newest!.id), {
      id: newest!.id,
      object: "file",
      deleted: true,
    });
    await assert.rejects(client.files.retrieve(newest!.id), OpenAI.NotFoundError);
    await assert.rejects(client.batches.retrieve("batch_none"), OpenAI.NotFoundError);
  });

  it("reads UTF-16 by its byte order mark, and refuses a line that is not text", async () => {
    const line = JSON.stringify({
      custom_id: "half a dog \ud83d",
      method: "POST",
      url: ENDPOINT,
      body: { prompt: "half a dog \ud83d", seed: 31, user: "\ud83d" },
    });
    const units = Uint16Array.from(`\ufeff${line}\n`, (unit) => unit.charCodeAt(0));
    const upload = (parts: Uint8Array<ArrayBuffer>[]) =>
      client.files.create({ file: new File(parts, "requests.jsonl"), purpose: "batch" });
    const file = await upload([new Uint8Array(units.buffer)]);
    const { id } = await client.batches.create({
      input_file_id: file.id,
      endpoint: ENDPOINT as OpenAI.BatchCreateParams["endpoint"],
      completion_window: "24h",
    });
    const batch = await ended(id);
    assert.deepEqual(batch.request_counts, { total: 1, completed: 1, failed: 0 });
    assert.equal((await results(batch.output_file_id))[0]!.custom_id, "half a dog \ufffd");

    const latin1 = Uint8Array.from('{}\n{"a": "\u00e9"}\n', (unit) => unit.charCodeAt(0));
    await assert.rejects(upload([latin1]), /'file' must be text.*line 2 is not in UTF-8/);
  });

  it("answers each of 500 requests once while workers and services are killed at random", async () => {
    const seeds = Array.from({ length: 500 }, (_, index) => 60_000 + index);
    const lines = seeds.map((seed) => ({ custom_id: `request ${seed}`, body: { prompt: "x", seed } }));
    const { id } = await createBatch(lines);
    let done = false;
    let kills = 0;
    const random = randomFrom(5);
    const killing = (async () => {
      while (!done && kills < KILLS) {
        const before = (await client.batches.retrieve(id)).request_counts!.completed;
        const list = random() < 0.5 ? workers : services;
        const at = Math.floor(random() * list.length);
        const victim = list[at]!;
        victim.process.kill("SIGKILL");
        await victim[Symbol.asyncDispose]();
        kills++;
        // Back in its place, as an orchestrator would have it.
        list[at] = await (list === workers ? startWorker : startBatches)(portOf(victim));
        // The remaining processes go on: the next one dies in the midst of work.
        const goesOn = async () => (await client.batches.retrieve(id)).request_counts!.completed !== before;
        await until(async () => done || await goesOn());
      }
    })();
    const batch = await ended(id);
    done = true;
    await killing;
    assert.ok(kills >= 4, `${kills} processes were killed`);
    assert.deepEqual([batch.status, batch.request_counts], ["completed", {
      total: 500,
      completed: 500,
      failed: 0,
    }]);
    const answers = await results(batch.output_file_id);
    assert.deepEqual(answers.map(({ custom_id }) => custom_id), lines.map(({ custom_id }) => custom_id));
    const drawn = answers.map(({ response }) =>
      (response!.body as { data: { seed: number }[] }).data[0]!.seed
    );
    assert.deepEqual(drawn, seeds);
    assert.equal(batch.error_file_id, null);
    // Nothing is left in the queue.
    const metrics = await readMetrics(services[0]!.found);
    for (const state of ["waiting", "active", "delayed"]) {
      assert.equal(metrics.get(`spectrum_batch_queue{state="${state}"}`), 0, state);
    }
  });
});

/** Numbers in 0..1, the same each time (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ state >>> 15, 1 | state);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 2 ** 32;
  };
}
