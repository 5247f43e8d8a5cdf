// Requests that come twice: by Idempotency-Key, and by OpenAI's client after a lost answer.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { FakePipeline } from "../../gpu-worker/http/fake_pipeline.ts";
import { drawTestKey } from "../keys/key.ts";
import { counterOf, held, startJobs } from "./jobs.ts";
import { until } from "../../until.ts";

describe("repetitions", () => {
  it("refuses a repetition of a request that was refused for its quota", async () => {
    const { worker, generate, keyStore } = startJobs(new FakePipeline());
    await using _worker = worker;
    const { key, record } = await drawTestKey({ pictures_per_month: 2 });
    await keyStore.add(record);
    const ask = async (n: number, name: string) => {
      const headers = { authorization: `Bearer ${key}`, "idempotency-key": name };
      const answer = await generate({ n }, { headers });
      await answer.text();
      return answer.status;
    };
    assert.deepEqual([await ask(3, "a"), await ask(3, "a")], [429, 429]);
    assert.deepEqual([await ask(2, "b"), await ask(2, "b")], [200, 200]);
    assert.equal(await keyStore.used(counterOf(record)), 2);
    assert.equal(await ask(1, "c"), 429);
  });

  it("makes one request per Idempotency-Key and refuses another request with it", async () => {
    const pipeline = new FakePipeline();
    const { worker, generate } = startJobs(pipeline);
    await using _worker = worker;
    const headers = { "idempotency-key": "abc" };
    const answers = await Promise.all(Array.from({ length: 3 }, () => generate({ steps: 2 }, { headers })));
    const later = await generate({ steps: 2 }, { headers });
    const pictures = await Promise.all(
      [...answers, later].map(async (answer) => (await answer.json()).data[0]),
    );
    assert.equal(new Set(pictures.map(({ b64_json, seed }) => b64_json + seed)).size, 1);
    assert.equal(pipeline.stepsBegun, 2);
    const other = await generate({ steps: 3 }, { headers });
    assert.deepEqual([other.status, (await other.json()).error.code], [422, "idempotency_key_reused"]);
    const jobs = await Promise.all(
      [1, 2].map(() => generate({ background: true }, { headers: { "idempotency-key": "job" } })),
    );
    const ids = await Promise.all(jobs.map(async (answer) => (await answer.json()).id));
    assert.equal(ids[0], ids[1]);
    assert.equal((await generate({}, { headers: { "idempotency-key": "a b" } })).status, 400);
  });

  it("a retry of OpenAI's client joins its first attempt's run; new requests draw new seeds", async () => {
    const { pipeline, go } = held();
    const { worker, generate } = startJobs(pipeline);
    await using _worker = worker;
    const attempt = (count: number, signal?: AbortSignal) =>
      generate({ steps: 1 }, {
        headers: { "x-stainless-retry-count": String(count) },
        ...signal && { signal },
      });
    const gone = new AbortController();
    const first = attempt(0, gone.signal);
    const second = attempt(0);
    await until(() => worker.queue.depth === 1);
    // Not the one that its client still waits for, but the one that was left.
    gone.abort();
    await first;
    const retried = attempt(1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    go();
    const seeds = await Promise.all(
      [second, retried].map(async (answer) => (await (await answer).json()).data[0].seed),
    );
    assert.notEqual(seeds[0], seeds[1]);
    assert.equal(pipeline.stepsBegun, 2);
  });
});
