// A store that runs full, or takes no writes: what was promised stays, reads go on,
// results are written later.
import { after, before, beforeEach, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { checkEviction } from "../../protocol/store/check_eviction.ts";
import { RedisLink } from "../../protocol/store/redis_link.ts";
import { RedisResultStore } from "../../protocol/store/results/redis_result_store.ts";
import { RedisRunLog } from "../../protocol/store/run_log/redis_run_log.ts";
import { StoreFullError } from "../../protocol/store/store_full_error.ts";
import { Jobs } from "../../routes/jobs/jobs.ts";
import { Repetitions } from "../../routes/jobs/repetitions.ts";
import { RedisKeyStore } from "../../routes/keys/redis_key_store.ts";
import { FallbackStateStore } from "../../routes/state/fallback_state_store.ts";
import { RedisStateStore } from "../../routes/state/redis_state_store.ts";
import { FakePipeline } from "../gpu-worker/http/fake_pipeline.ts";
import { startJobs } from "../routes/jobs/jobs.ts";
import { type RestRedis, startRestRedis, WITHOUT_REDIS } from "./redis.ts";

const log = () => {};

describe("a full store", { skip: WITHOUT_REDIS }, () => {
  let redis: RestRedis;
  let link: RedisLink;
  before(async () => {
    redis = await startRestRedis();
  });
  after(() => redis[Symbol.asyncDispose]());
  beforeEach(async () => {
    await redis.redis.config("SET", "maxmemory", "0");
    await redis.redis.flushall();
    link = new RedisLink({ ...redis, timeoutMs: 30_000 });
  });

  function jobsOf(state: RedisStateStore) {
    const jobs = new Jobs({ source: undefined as never, state });
    const fields = { kind: "video", detached: true, viewer: null, webhook: null, quota: null };
    const add = (tenant: string, index: number, facts: unknown = {}) => {
      const id = `job_${index.toString(16).padStart(32, "0")}`;
      return jobs.add({ ...fields, id, tenant, facts }, { views: [], wanted: [] });
    };
    return { jobs, add };
  }

  it("evicts results and logs, never jobs, idempotency keys, quotas and runs under way", async () => {
    const [state, keys, runs] = [new RedisStateStore(link), new RedisKeyStore(link), new RedisRunLog(link)];
    const { jobs, add } = jobsOf(state);
    const repetitions = new Repetitions({ state, drawSeed: () => 7 });
    const recognize = (prompt: string) =>
      repetitions.recognize({ header: () => "key", tenant: "victim", request: { prompt } as object });
    const job = await add("victim", 1);
    await recognize("x");
    const charge = { id: job.id, holder: "job", counter: "pictures:victim:2026-01", amount: 3, limit: 3 };
    await keys.charge({ ...charge, leaseMs: 60_000 });
    await runs.open({
      ...{ id: "run", name: undefined, viewer: "job", viewerMs: 60_000, previews: 0 },
      ...{ finishedToo: true, keepMs: 60_000, request: "{}" },
    });
    const used = Number(/used_memory:(\d+)/.exec(await redis.redis.info("memory"))![1]);
    await redis.redis.config("SET", "maxmemory", String(used + 6_000_000));
    await redis.redis.config("SET", "maxmemory-policy", "volatile-lru");
    const results = new RedisResultStore({ link, log });
    const picture = { b64_json: "A".repeat(100_000) } as never;
    for (let i = 0; i < 200; i++) await results.set(`flood${i}`, picture);
    assert.ok(Number(/evicted_keys:(\d+)/.exec(await redis.redis.info("stats"))![1]) > 50);
    assert.equal((await jobs.read(job.id))?.tenant, "victim");
    assert.equal((await jobs.list({ tenant: "victim", kind: "video" }, { limit: 9 })).length, 1);
    assert.deepEqual(await state.claimDue("jobs", { leaseMs: 1, limit: 9 }), [job.id]);
    await assert.rejects(recognize("y"), { code: "idempotency_key_reused" });
    assert.equal((await keys.charge({ ...charge, id: "more", amount: 1, leaseMs: 1 })).ok, false);
    assert.equal((await runs.brief("run"))?.state, "open");
  });

  it("reads only the jobs that a list returns", async () => {
    const { jobs, add } = jobsOf(new RedisStateStore(link));
    const facts = { prompt: "A".repeat(20_000) };
    await Promise.all(Array.from({ length: 10 }, (_, index) => add("few", index, facts)));
    await Promise.all(Array.from({ length: 300 }, (_, index) => add("many", 1000 + index, facts)));
    const sent = async () => Number(/total_net_output_bytes:(\d+)/.exec(await redis.redis.info("stats"))![1]);
    const cost = async (tenant: string) => {
      const before = await sent();
      const page = await jobs.list({ tenant, kind: "video" }, { limit: 2 });
      assert.equal(page.length, 2);
      return await sent() - before;
    };
    const [few, many] = [await cost("few"), await cost("many")];
    assert.ok(many < 1.1 * few && few < 3 * 20_000, `${few} and ${many} bytes`);
  });

  const refusals: Record<string, () => Promise<unknown>> = {
    OOM: async () => {
      await redis.redis.config("SET", "maxmemory-policy", "noeviction");
      await redis.redis.config("SET", "maxmemory", "1");
    },
    READONLY: () => redis.redis.replicaof("127.0.0.1", 1),
  };
  for (const [refusal, refuse] of Object.entries(refusals)) {
    it(`${refusal}: serves reads and pictures, and refuses jobs until the store takes writes`, async () => {
      const state = new FallbackStateStore({ shared: new RedisStateStore(link), log });
      const results = new RedisResultStore({ link, log });
      const { worker, ask, generate, jobUntil } = startJobs(new FakePipeline(), {
        ...{ state, results, runs: new RedisRunLog(link), keyStore: new RedisKeyStore(link) },
      });
      await using _worker = worker;
      const { id } = await (await generate({ steps: 1, seed: 1, background: true })).json();
      await jobUntil(id, "completed");
      await refuse();
      try {
        await assert.rejects(link.ask((redis) => redis.set("a", "1")), StoreFullError);
        await assert.rejects(link.ask((redis) => redis.eval("return redis.call('SET', 'a', '1')", [], [])), {
          code: "store_unavailable",
        });
        assert.equal(await link.ping(), true);
        assert.equal((await (await ask("GET", `/jobs/${id}`)).json()).status, "completed");
        assert.equal((await generate({ steps: 1, seed: 1 })).headers.get("x-spectrum-cache"), "hit");
        assert.equal((await generate({ steps: 1, seed: 2 })).status, 200);
        const refused = await generate({ steps: 1, seed: 3, background: true });
        assert.deepEqual([refused.status, (await refused.json()).error.code], [503, "store_unavailable"]);
      } finally {
        await redis.redis.replicaof("NO", "ONE");
        await redis.redis.config("SET", "maxmemory", "0");
      }
      assert.equal((await generate({ steps: 1, seed: 3, background: true })).status, 202);
    });
  }

  it("bounds an owner's jobs, so that others have room", async () => {
    const state = new RedisStateStore(link);
    const entry = { agenda: "jobs", list: "jobs:greedy:video", ttlMs: 60_000, max: 3 };
    const enter = (member: string) => state.enter({ ...entry, key: `job:${member}`, member }, "{}");
    const entered = await Promise.all(["a", "b", "c", "d", "e"].map(enter));
    assert.deepEqual(entered.sort(), ["entered", "entered", "entered", "full", "full"]);
  });

  it("an edge warns at its start of a policy that evicts promises", async () => {
    const warnings: string[] = [];
    const told = async (policy: string, maxmemory: string) => {
      await redis.redis.config("SET", "maxmemory-policy", policy);
      await redis.redis.config("SET", "maxmemory", maxmemory);
      await checkEviction(link, (level, message) => void warnings.push(`${level} ${message}`));
      return warnings.splice(0).length;
    };
    assert.equal(await told("allkeys-lru", "100mb"), 1);
    assert.equal(await told("noeviction", "100mb"), 1);
    assert.equal(await told("volatile-lru", "100mb"), 0);
    assert.equal(await told("allkeys-lru", "0"), 0);
    await checkEviction(
      new RedisLink({ url: "http://127.0.0.1:1", token: "x" }),
      () => warnings.push("away"),
    );
    assert.deepEqual(warnings, []);
  });
});
