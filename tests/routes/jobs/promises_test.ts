// Promises of jobs and repetitions, whatever edges and stores do meanwhile.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { MemoryResultStore } from "../../../protocol/store/results/memory_result_store.ts";
import { AGENDA, Jobs } from "../../../routes/jobs/jobs.ts";
import type { JobRecord } from "../../../routes/jobs/job_record.ts";
import { MemoryKeyStore } from "../../../routes/keys/memory_key_store.ts";
import { StoreAwayError } from "../../../protocol/store/store_away_error.ts";
import { StoreFullError } from "../../../protocol/store/store_full_error.ts";
import { MemoryRunLog } from "../../../protocol/store/run_log/memory_run_log.ts";
import type { OpenRun } from "../../../protocol/store/run_log/run_log.ts";
import type { RunSource } from "../../../routes/runs/run_source.ts";
import { FallbackStateStore } from "../../../routes/state/fallback_state_store.ts";
import { MemoryStateStore } from "../../../routes/state/memory_state_store.ts";
import type { Entered } from "../../../routes/state/state_store.ts";
import { FakePipeline } from "../../gpu-worker/http/fake_pipeline.ts";
import { drawTestKey } from "../keys/key.ts";
import { counterOf, eventsOf, held, startJobs } from "./jobs.ts";
import { until } from "../../until.ts";
import { webhookReceiver } from "./webhook_receiver.ts";
import { EndingState } from "./ending_state.ts";

describe("promises", () => {
  it("gives one Idempotency-Key one seed and one job at edges with separate stores", async () => {
    const ask = async (fields: object = {}) => {
      const { worker, generate } = startJobs(new FakePipeline(), { state: new MemoryStateStore() });
      await using _worker = worker;
      const headers = { "idempotency-key": "abc" };
      const { data } = await (await generate({ steps: 1, ...fields }, { headers })).json();
      const job = await (await generate({ steps: 1, ...fields, background: true }, {
        headers: { "idempotency-key": "job" },
      })).json();
      return [data[0].seed, job.id];
    };
    const [first, again, other] = [await ask(), await ask(), await ask({ prompt: "y" })];
    assert.deepEqual(first, again);
    assert.notEqual(first[0], other[0]);
    assert.notEqual(first[1], other[1]);
  });

  it("a twin with 'only-if-cached' that is refused takes no count back", async () => {
    const { worker, generate, keyStore } = startJobs(new FakePipeline());
    await using _worker = worker;
    const { key, record } = await drawTestKey({ pictures_per_month: 100 });
    await keyStore.add(record);
    let delivered = 0;
    for (let pair = 0; pair < 12; pair++) {
      const headers = { authorization: `Bearer ${key}`, "idempotency-key": `pair${pair}` };
      const cached = { ...headers, "cache-control": "only-if-cached" };
      const both = pair % 2 ? [cached, headers] : [headers, cached];
      const answers = await Promise.all(
        both.map((headers) => generate({ steps: 1, seed: pair }, { headers })),
      );
      if (answers.some(({ status }) => status === 200)) delivered++;
      for (const answer of answers) await answer.text();
    }
    assert.equal(delivered, 12);
    assert.equal(await keyStore.used(counterOf(record)), 12);
  });

  it("'no-cache' makes no repetition anew; a result that 'no-store' makes anew is counted", async () => {
    const pipeline = new FakePipeline();
    const { worker, generate, keyStore } = startJobs(pipeline, { results: new MemoryResultStore() });
    await using _worker = worker;
    const { key, record } = await drawTestKey({ pictures_per_month: 100 });
    await keyStore.add(record);
    const repeat = async (control: string) => {
      const headers = {
        authorization: `Bearer ${key}`,
        "idempotency-key": control,
        "cache-control": control,
      };
      for (let time = 0; time < 4; time++) await (await generate({ steps: 1 }, { headers })).text();
    };
    await repeat("no-cache");
    assert.deepEqual([pipeline.stepsBegun, await keyStore.used(counterOf(record))], [1, 1]);
    await repeat("no-store");
    assert.deepEqual([pipeline.stepsBegun, await keyStore.used(counterOf(record))], [5, 5]);
  });

  it("counts only delivered pictures of a stream that fails midway and of a cancelled job", async () => {
    let begun = 0;
    const [seen, cancelled] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const pipeline = new FakePipeline({
      async beforeStep() {
        if (++begun === 2) {
          await seen.promise;
          throw new Error("secret");
        }
        if (begun > 2) await cancelled.promise;
      },
    });
    const { worker, ask, generate, keyStore } = startJobs(pipeline);
    await using _worker = worker;
    const { key, record } = await drawTestKey({ pictures_per_month: 100 });
    await keyStore.add(record);
    const headers = { authorization: `Bearer ${key}` };
    const stream = await generate({ n: 2, steps: 1, seed: 1, stream: true }, { headers });
    let text = "";
    for await (const part of stream.body!.pipeThrough(new TextDecoderStream())) {
      text += part;
      if (text.includes("event: image_generation.completed")) seen.resolve();
    }
    assert.equal(eventsOf(text).at(-1)!.event, "error");
    await until(async () => await keyStore.used(counterOf(record)) === 1);
    const { id } = await (await generate({ n: 3, seed: 5, background: true }, { headers })).json();
    assert.equal(await keyStore.used(counterOf(record)), 4);
    assert.equal((await ask("POST", `/jobs/${id}/cancel`, { headers })).status, 200);
    await until(async () => await keyStore.used(counterOf(record)) === 1);
    cancelled.resolve();
  });

  it("a stream goes on for a reader whose connection broke, and who comes back", async () => {
    const { pipeline, go } = held();
    const [opened, left]: string[][] = [[], []];
    class Runs extends MemoryRunLog {
      override open = (run: OpenRun) => (opened!.push(run.viewer), super.open(run));
      override leave = (id: string, viewer: string) => (left!.push(viewer), super.leave(id, viewer));
    }
    const { worker, ask, generate } = startJobs(pipeline, { runs: new Runs() });
    await using _worker = worker;
    const stream = await generate({ seed: 1, steps: 3, stream: true, progress: true });
    const path = `/jobs/${stream.headers.get("x-spectrum-job")}/events`;
    const reader = (await ask("GET", path)).body!.getReader();
    let text = "";
    while (!text.endsWith("\n\n")) text += new TextDecoder().decode((await reader.read()).value);
    const [first] = eventsOf(text);
    await reader.cancel();
    // Were the reader not waited for, this would be the last viewer.
    await stream.body!.cancel();
    await until(() => left!.includes(opened![0]!));
    const again = await ask("GET", path, { headers: { "last-event-id": first!.id } });
    go();
    const rest = eventsOf(await again.text());
    assert.equal(rest.at(-1)!.event, "image_generation.completed");
    assert.ok(rest.every(({ id }) => Number(id) > Number(first!.id)));
  });

  it("never changes a job's status after it was answered as cancelled", async () => {
    const state = new MemoryStateStore();
    const { pipeline, go } = held();
    const { worker, ask, generate } = startJobs(pipeline, { state });
    await using _worker = worker;
    const { id } = await (await generate({ seed: 1, background: true })).json();
    const waiting = generate({ seed: 1 });
    await until(() => pipeline.stepsBegun === 1);
    const seen = JSON.parse((await state.get(`job:${id}`))!) as JobRecord;
    assert.equal((await (await ask("POST", `/jobs/${id}/cancel`)).json()).status, "cancelled");
    go();
    assert.equal((await waiting).status, 200);
    // Another edge that had read the job before sees its runs completed.
    const jobs = new Jobs({ source: undefined as never, state });
    const late = await jobs.end(seen, { status: "completed", at: Date.now(), error: null });
    assert.equal(late?.end?.status, "cancelled");
    assert.equal((await (await ask("GET", `/jobs/${id}`)).json()).status, "cancelled");
    await until(async () => (await state.latest(AGENDA, 1)).length === 0);
    assert.equal((await (await ask("GET", `/jobs/${id}`)).json()).status, "cancelled");
  });

  it("gives a stream no name that other edges do not know, but at an edge that is alone", async () => {
    class Away extends MemoryStateStore {
      override set = () => Promise.reject(new StoreAwayError());
    }
    const stream = {
      ...{ id: "job_1", kind: "image_generation", tenant: "a", facts: {}, detached: false },
      ...{ viewer: null, webhook: null, quota: null },
    };
    const add = async (hasPeers: boolean) => {
      const state = new FallbackStateStore({ shared: new Away(), log: () => {} });
      return await new Jobs({ source: { hasPeers } as RunSource, state }).add(stream, {
        ...{ views: [], wanted: [] },
      });
    };
    await assert.rejects(add(true), StoreAwayError);
    assert.equal((await add(false)).id, "job_1");
  });

  it("sends a webhook once when its keeper dies after the end was noted", async () => {
    let passed = 0;
    const state = new EndingState({ now: () => Date.now() + passed });
    const { told, webhooks } = webhookReceiver();
    const { worker, generate } = startJobs(new FakePipeline(), { state, webhooks });
    await using _worker = worker;
    await (await generate({ background: true, webhook: "https://client.example/hook" })).text();
    await until(() => state.ends === 1);
    assert.deepEqual(told, []);
    passed = 31_000;
    await until(async () => (await state.latest(AGENDA, 1)).length === 0);
    assert.deepEqual(told, ["job.completed"]);
  });

  it("takes times from the store, so that an edge whose clock is ahead keeps its jobs", async () => {
    const state = new MemoryStateStore();
    const jobs = new Jobs({ source: undefined as never, state, now: () => Date.now() + 600_000 });
    const id = `job_${"1".repeat(32)}`;
    const fields = {
      id,
      kind: "video",
      tenant: "t",
      facts: {},
      detached: true,
      viewer: null,
      webhook: null,
      quota: null,
    };
    await jobs.add(fields, { views: [], wanted: [] });
    assert.deepEqual(await state.claimDue(AGENDA, { leaseMs: 1000, limit: 1 }), [id]);
    assert.equal((await jobs.list({ tenant: "t", kind: "video" }, { limit: 9 })).length, 1);
  });

  it("a repetition finds the runs of a job whose recording was answered to nobody", async () => {
    let enters = 0;
    class State extends MemoryStateStore {
      override async enter(...args: Parameters<MemoryStateStore["enter"]>) {
        const entered = await super.enter(...args);
        if (enters++ === 0) throw new StoreAwayError();
        return entered;
      }
    }
    const { pipeline, go } = held();
    const { worker, generate, jobUntil } = startJobs(pipeline, { state: new State() });
    await using _worker = worker;
    const headers = { "idempotency-key": "abc" };
    const lost = await generate({ background: true }, { headers });
    assert.deepEqual([lost.status, (await lost.json()).error.code], [503, "store_unavailable"]);
    const { id, status } = await (await generate({ background: true }, { headers })).json();
    assert.notEqual(status, "failed");
    go();
    await jobUntil(id, "completed");
    assert.equal(pipeline.stepsBegun, pipeline.request!.steps);
  });

  it("a repetition that fails takes no run away from the job that the first request has begun", async () => {
    let enters = 0;
    const [entering, first] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    class State extends MemoryStateStore {
      override async enter(...args: Parameters<MemoryStateStore["enter"]>) {
        if (enters++ > 0) return await super.enter(...args);
        // The first edge hangs until the second has answered, and then finds that its store is full.
        entering.resolve();
        await first.promise;
        throw new StoreFullError();
      }
    }
    const { pipeline, go } = held();
    const { worker, generate, jobUntil } = startJobs(pipeline, { state: new State() });
    await using _worker = worker;
    const headers = { "idempotency-key": "abc" };
    const hanging = generate({ background: true }, { headers });
    await entering.promise;
    const { id } = await (await generate({ background: true }, { headers })).json();
    first.resolve();
    assert.equal((await hanging).status, 503);
    go();
    await jobUntil(id, "completed");
  });

  it("an edge that was stopped before a webhook repeats no webhook of another edge", async () => {
    let passed = 0;
    let looks = 0;
    const [stopped, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    class State extends MemoryStateStore {
      override async get(key: string): Promise<string | undefined> {
        if (!key.startsWith("webhook:")) return await super.get(key);
        if (looks++ > 0) return await super.get(key);
        stopped.resolve();
        await goOn.promise;
        return await super.get(key);
      }
    }
    const state = new State({ now: () => Date.now() + passed });
    const { told, webhooks } = webhookReceiver();
    const { worker, generate } = startJobs(new FakePipeline(), { state, webhooks });
    await using _worker = worker;
    await (await generate({ background: true, webhook: "https://client.example/hook" })).text();
    await stopped.promise;
    await state.delete(`telling:${(await state.latest(AGENDA, 1))[0]}`);
    passed = 16_000;
    await until(() => told.length === 1);
    await until(async () => (await state.latest(AGENDA, 1)).length === 0);
    goOn.resolve();
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(told, ["job.completed"]);
  });

  it("gives pictures back when an edge dies between counting and recording a job", async () => {
    let now = 0;
    const keyStore = new MemoryKeyStore({ now: () => now });
    class State extends MemoryStateStore {
      // The process ends here.
      override enter(): Promise<Entered> {
        return new Promise(() => {});
      }
    }
    const { key, record } = await drawTestKey({ pictures_per_month: 9 });
    await keyStore.add(record);
    const { worker, generate } = startJobs(new FakePipeline(), {
      state: new State(),
      keyStore,
      keeper: false,
    });
    await using _worker = worker;
    generate({ background: true, n: 3 }, { headers: { authorization: `Bearer ${key}` } });
    await until(async () => await keyStore.used(counterOf(record)) === 3);
    now = 31_000;
    await keyStore.repair();
    assert.equal(await keyStore.used(counterOf(record)), 0);
  });
});
