// Pictures counted by an id: one contract, in this process and in a real Redis.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { RedisLink } from "../../../protocol/store/redis_link.ts";
import { KeyLimits, monthCounter } from "../../../routes/keys/key_limits.ts";
import type { CounterStore } from "../../../routes/keys/key_store.ts";
import { MemoryCounters } from "../../../routes/keys/memory_counters.ts";
import { MemoryKeyStore } from "../../../routes/keys/memory_key_store.ts";
import { RedisKeyStore } from "../../../routes/keys/redis_key_store.ts";
import { type RestRedis, startRestRedis, WITHOUT_REDIS } from "../../service/redis.ts";
import { until } from "../../until.ts";
import { drawTestKey, interruptible } from "./key.ts";

function contract(open: () => CounterStore): void {
  function start() {
    const [store, id, counter] = [open(), crypto.randomUUID(), `pictures:${crypto.randomUUID()}`];
    const charge = (holder: string, amount: number, leaseMs = 60_000) =>
      store.charge({ id, holder, counter, amount, limit: 5, leaseMs });
    const settle = (
      holder: string,
      delivered: number[],
      done: "no" | "holder" | "all" = "holder",
      made?: number,
    ) => store.settle({ id, holder, counter, delivered, done, ...made !== undefined && { made } });
    return { store, id, charge, settle, used: () => store.used(counter) };
  }

  it("requests with one id are counted once, however many come at a time", async () => {
    const { charge, settle, used } = start();
    const charged = await Promise.all(Array.from({ length: 9 }, (_, n) => charge(`h${n}`, 3)));
    assert.ok(charged.every(({ ok, used }) => ok && used === 3));
    await Promise.all(charged.map((_, n) => settle(`h${n}`, [0, 1, 2])));
    assert.equal(await used(), 3);
    assert.equal((await charge("later", 3)).ok, true);
    await settle("later", []);
    assert.equal(await used(), 3);
  });

  it("a refused twin gives nothing back that another request waits for", async () => {
    const { charge, settle, used } = start();
    await charge("cached only", 2);
    await charge("made", 2);
    await settle("cached only", []);
    assert.equal(await used(), 2);
    await settle("made", [0, 1]);
    assert.equal(await used(), 2);
  });

  it("gives undelivered pictures back, and holds the limit meanwhile", async () => {
    const { charge, settle, used } = start();
    assert.equal((await charge("a", 6)).ok, false);
    await charge("a", 5);
    await settle("a", [1], "no");
    assert.equal(await used(), 5);
    await settle("a", [1, 3]);
    assert.equal(await used(), 2);
    // A repetition pays for what its first attempt did not get.
    assert.deepEqual(await charge("b", 5), { ok: true, used: 5 });
    await settle("b", [0, 1, 2, 3, 4]);
    await settle("b", [0, 1, 2, 3, 4]);
    assert.equal(await used(), 5);
  });

  it("'all' ends every holder, as the job has ended", async () => {
    const { charge, settle, used } = start();
    await Promise.all([charge("first", 4), charge("twin", 4)]);
    await settle("first", [], "all");
    await settle("first", [], "all");
    assert.equal(await used(), 0);
  });

  it("repair() gives back the pictures that a dead holder did not deliver", async () => {
    const { store, charge, settle, used } = start();
    await charge("dead", 4, 1);
    await settle("dead", [2], "no");
    await until(async () => {
      await store.repair();
      return await used() === 1;
    });
    await store.repair();
    assert.equal(await used(), 1);
    // It was slow, not dead.
    await settle("dead", [0, 1, 2, 3]);
    assert.equal(await used(), 4);
  });

  it("renew() keeps pictures that holders wait for, and revives no ended charge", async () => {
    const { store, id, charge, settle, used } = start();
    await charge("slow", 2, 1);
    await store.renew(
      [{ id, holder: "slow" }, { id, holder: "unknown" }, { id: "unknown", holder: "slow" }],
      60_000,
    );
    await new Promise((resolve) => setTimeout(resolve, 5));
    await store.repair();
    assert.equal(await used(), 2);
    await settle("slow", [0]);
    await store.renew([{ id, holder: "slow" }], 60_000);
    assert.equal(await used(), 1);
  });

  it("counts pictures without places once, however often they are reported", async () => {
    const { charge, settle, used } = start();
    await charge("batch", 5);
    for (const made of [2, 3, 2]) await settle("batch", [], "all", made);
    assert.equal(await used(), 3);
  });

  it("a delivery counts without a charge before it", async () => {
    const { settle, used } = start();
    await settle("outage", [0, 1]);
    await settle("outage", [0, 1]);
    assert.equal(await used(), 2);
  });
}

describe("MemoryCounters", () => contract(() => new MemoryCounters()));

describe("RedisKeyStore", { skip: WITHOUT_REDIS }, () => {
  let redis: RestRedis;
  before(async () => {
    redis = await startRestRedis();
  });
  after(() => redis[Symbol.asyncDispose]());
  contract(() => new RedisKeyStore(new RedisLink({ ...redis, timeoutMs: 30_000 })));
});

describe("KeyLimits", () => {
  it("pictures given back at one edge can be had at another that was refused", async () => {
    const store = new MemoryKeyStore();
    const [first, second] = [1, 2].map(() => new KeyLimits({ store, log: () => {} }));
    const { record } = await drawTestKey({ pictures_per_month: 3 });
    const job = (await first!.chargePictures(record, { id: "job", holder: "a", count: 3 }))!;
    const ask = (limits: KeyLimits) => limits.chargePictures(record, { id: "other", holder: "b", count: 1 });
    await assert.rejects(ask(first!), { code: "insufficient_quota" });
    await second!.closePictures(job, []);
    assert.ok(await ask(first!));
  });

  it("counts deliveries of the store's absence when the store is back", async () => {
    let isAway = true;
    const { store } = interruptible(new MemoryKeyStore(), () => isAway);
    const limits = new KeyLimits({ store, log: () => {}, patienceMs: 0 });
    const { record } = await drawTestKey({ pictures_per_month: 9 });
    const charged = (await limits.chargePictures(record, { id: "x", holder: "a", count: 2 }))!;
    await limits.settlePictures({ ...charged, delivered: [0], done: "no" });
    await limits.settlePictures({ ...charged, delivered: [1], done: "holder" });
    await assert.rejects(limits.repair());
    isAway = false;
    await limits.repair();
    await limits.repair();
    assert.equal(await store.used(monthCounter(record.id, new Date())), 2);
  });

  it("a picture's count waits out a short outage of the store, and not a long one", async () => {
    let [now, isAway] = [0, true];
    const { store, asked } = interruptible(new MemoryKeyStore(), () => isAway);
    const limits = new KeyLimits({ store, log: () => {}, now: () => now });
    const { record } = await drawTestKey({ pictures_per_month: 9 });
    const charged = (await limits.chargePictures(record, { id: "x", holder: "a", count: 2 }))!;
    const before = asked();
    const counting = limits.settlePictures({ ...charged, delivered: [0], done: "no" });
    await until(() => asked() > before + 1);
    isAway = false;
    await counting;
    assert.equal(await store.used(charged.counter), 1);
    isAway = true;
    const tries = asked();
    const late = limits.settlePictures({ ...charged, delivered: [1], done: "no" });
    await until(() => asked() > tries + 1);
    now += 10_000;
    await late;
    // Nobody waits again before the store is back.
    const asking = asked();
    await limits.settlePictures({ ...charged, delivered: [1], done: "no" });
    assert.equal(asked(), asking + 1);
    isAway = false;
    await limits.repair();
    assert.equal(await store.used(charged.counter), 2);
  });
});
