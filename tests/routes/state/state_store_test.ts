// One contract, two implementations.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { RedisLink } from "../../../protocol/store/redis_link.ts";
import { StoreAwayError } from "../../../protocol/store/store_away_error.ts";
import { FallbackStateStore } from "../../../routes/state/fallback_state_store.ts";
import { MemoryStateStore } from "../../../routes/state/memory_state_store.ts";
import { RedisStateStore } from "../../../routes/state/redis_state_store.ts";
import { MAX_LIST, type StateStore } from "../../../routes/state/state_store.ts";
import { type RestRedis, startRestRedis, WITHOUT_REDIS } from "../../service/redis.ts";
import { until } from "../../until.ts";

function contract(open: () => StateStore): void {
  const name = () => crypto.randomUUID();

  it("set() may be the first's alone, and values expire", async () => {
    const [state, key] = [open(), name()];
    const set = (value: string) => state.set(key, value, { ttlMs: 200, onlyIfAbsent: true });
    assert.deepEqual((await Promise.all([set("a"), set("b"), set("c")])).filter(Boolean), [true]);
    assert.equal(await state.get(key), "a");
    await until(async () => await state.get(key) === undefined);
    await state.set(key, '{"like":"json"}', { ttlMs: 1000 });
    assert.equal(await state.get(key), '{"like":"json"}');
    const change = () => state.set(key, "changed", { ttlMs: 1000, onlyIfPresent: true });
    assert.deepEqual([await change(), await state.get(key)], [true, "changed"]);
    await state.delete(key);
    assert.deepEqual([await change(), await state.get(key)], [false, undefined]);
  });

  it("rotate() takes turns; push() moves what is there to either end", async () => {
    const [state, list] = [open(), name()];
    for (const value of ["a", "b", "c"]) await state.push(list, value, { ttlMs: 1000 });
    assert.deepEqual([await state.rotate(list), await state.rotate(list)], ["a", "b"]);
    await state.push(list, "b", { ttlMs: 1000, front: true });
    assert.deepEqual([await state.rotate(list), await state.rotate(list), await state.rotate(list)], [
      "b",
      "c",
      "a",
    ]);
    assert.equal(await state.rotate(name()), undefined);
  });

  it("push() keeps a list from growing without an end", async () => {
    const [state, list] = [open(), name()];
    for (let value = 0; value <= MAX_LIST; value++) await state.push(list, `${value}`, { ttlMs: 60_000 });
    assert.equal(await state.rotate(list), "1");
  });

  it("claimDue() gives what is due to one at a time", async () => {
    const [state, agenda] = [open(), name()];
    const now = Date.now();
    await state.schedule(agenda, "old", now - 2000);
    await state.schedule(agenda, "older", now - 3000);
    await state.schedule(agenda, "later", now + 60_000);
    const claims = await Promise.all([1, 2].map(() => state.claimDue(agenda, { leaseMs: 60_000, limit: 5 })));
    assert.deepEqual(claims.flat(), ["older", "old"]);
    await state.schedule(agenda, "old", now - 1);
    assert.deepEqual(await state.claimDue(agenda, { leaseMs: 1, limit: 5 }), ["old"]);
    await state.unschedule(agenda, "old");
    assert.deepEqual(await state.latest(agenda, 1), ["older"]);
    assert.deepEqual((await state.latest(agenda, 9)).sort(), ["later", "older"]);
    await state.forgetBefore(agenda, now + 60_000);
    await state.forgetBefore(agenda, now + 60_001 + 60_000);
    assert.deepEqual(await state.latest(agenda, 9), []);
  });
}

describe("MemoryStateStore", () => contract(() => new MemoryStateStore()));

describe("RedisStateStore", { skip: WITHOUT_REDIS }, () => {
  let redis: RestRedis;
  before(async () => {
    redis = await startRestRedis();
  });
  after(() => redis[Symbol.asyncDispose]());
  contract(() => new RedisStateStore(new RedisLink(redis)));
});

describe("FallbackStateStore", () => {
  const open = () => {
    const shared = new RedisStateStore(new RedisLink({ url: "http://127.0.0.1:1", token: "x" }));
    return new FallbackStateStore({ shared, log: () => {} });
  };

  it("goes on by itself while the store is away", async () => {
    const state = open();
    assert.equal(await state.set("a", "1", { ttlMs: 1000, onlyIfAbsent: true }), true);
    assert.equal(await state.set("a", "2", { ttlMs: 1000, onlyIfAbsent: true }), false);
    assert.equal(await state.set("a", "3", { ttlMs: 1000, onlyIfPresent: true }), true);
    assert.equal(await state.get("a"), "3");
    await state.schedule("jobs", "j", 0);
    assert.deepEqual(await state.claimDue("jobs", { leaseMs: 1000, limit: 1 }), ["j"]);
  });

  it("does not speak for a store that is away", async () => {
    const state = open();
    const answers: Record<string, () => Promise<unknown>> = {
      "there is no such value": () => state.get("b"),
      "others will find it": () => state.set("b", "1", { ttlMs: 1000, forOthers: true }),
      "there is none to change": () => state.set("b", "1", { ttlMs: 1000, onlyIfPresent: true }),
      "it is gone": () => state.delete("b"),
      "that is all there is": () => state.latest("jobs", 9),
    };
    for (const [answer, ask] of Object.entries(answers)) await assert.rejects(ask(), StoreAwayError, answer);
  });
});
