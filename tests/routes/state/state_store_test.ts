// One contract, two implementations.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { RedisLink } from "../../../protocol/store/redis_link.ts";
import { StoreAwayError } from "../../../protocol/store/store_away_error.ts";
import { RedisKeyStore } from "../../../routes/keys/redis_key_store.ts";
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
    await state.delete(key);
    assert.equal(await state.get(key), undefined);
  });

  it("swap() lets the first change stand, for good", async () => {
    const [state, key] = [open(), name()];
    await state.set(key, "open", { ttlMs: 60_000, keep: true });
    const change = (to: string) => state.swap(key, { from: "open", to });
    const [winner, ...others] = await Promise.all(["completed", "cancelled", "failed"].map(change));
    assert.ok(["completed", "cancelled", "failed"].includes(winner!));
    assert.deepEqual([...others, await change("late"), await state.get(key)], Array(4).fill(winner));
    assert.equal(await state.swap(name(), { from: "open", to: "completed" }), undefined);
  });

  it("enter() and remove() are one step: value, agenda and list", async () => {
    const state = open();
    const [agenda, list, member] = [name(), name(), name()];
    const entry = { key: `entry:${member}`, member, agenda, list };
    const page = () => state.page(list, { prefix: "entry:", limit: 9, ttlMs: 60_000 });
    const enter = (value: string) => state.enter({ ...entry, ttlMs: 60_000 }, value);
    assert.deepEqual(await Promise.all([enter("first"), enter("second")]), ["entered", "known"]);
    assert.deepEqual([await state.get(entry.key), await page()], ["first", ["first"]]);
    assert.deepEqual(await state.claimDue(agenda, { leaseMs: 60_000, limit: 9 }), [member]);
    await state.remove(entry);
    assert.equal(await state.enter({ ...entry, ttlMs: 60_000, max: 0 }, "one too many"), "full");
    const left = [await state.get(entry.key), await page(), await state.latest(agenda, 9)];
    assert.deepEqual(left, [undefined, [], []]);
  });

  it("page() goes through a list from either end", async () => {
    const [state, agenda, list] = [open(), name(), name()];
    const members = Array.from({ length: 7 }, (_, index) => `${list}-${index}`);
    for (const member of members) {
      await state.enter({ key: `page:${member}`, member, agenda, list, ttlMs: 60_000 }, member);
      // Two entries of one millisecond keep no order in memory.
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const page = (options: { after?: string; ascending?: boolean }) =>
      state.page(list, { prefix: "page:", limit: 3, ttlMs: 60_000, ...options });
    assert.deepEqual(await page({}), members.slice(4).reverse());
    assert.deepEqual(await page({ after: members[4]! }), members.slice(1, 4).reverse());
    assert.deepEqual(await page({ after: members[0]! }), []);
    assert.deepEqual(await page({ ascending: true }), members.slice(0, 3));
    assert.deepEqual(await page({ ascending: true, after: members[4]! }), members.slice(5));
    assert.deepEqual(await page({ after: "unknown" }), []);
  });

  it("rotate() takes turns; push() moves an existing entry to either end", async () => {
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

  it("claimDue() gives a due entry to one caller at a time", async () => {
    const [state, agenda] = [open(), name()];
    await state.schedule(agenda, "old", -2000);
    await state.schedule(agenda, "older", -3000);
    await state.schedule(agenda, "later", 60_000);
    const claims = await Promise.all([1, 2].map(() => state.claimDue(agenda, { leaseMs: 60_000, limit: 5 })));
    assert.deepEqual(claims.flat(), ["older", "old"]);
    await state.schedule(agenda, "old", -1);
    assert.deepEqual(await state.claimDue(agenda, { leaseMs: 1, limit: 5 }), ["old"]);
    await state.unschedule(agenda, "old");
    assert.deepEqual(await state.latest(agenda, 1), ["older"]);
    assert.deepEqual((await state.latest(agenda, 9)).sort(), ["later", "older"]);
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

  it("ends promises in time, without an expiry by which a full store could evict them", async () => {
    const state = new RedisStateStore(new RedisLink(redis));
    const entry = { key: "job:promised", member: "promised", agenda: "promised", list: "promised:list" };
    await state.enter({ ...entry, ttlMs: 1 }, "job");
    await state.set("repeat:promised", "fingerprint", { ttlMs: 1, keep: true });
    await state.set("ticket:made again", "ticket", { ttlMs: 60_000 });
    const keys = await redis.redis.keys("*promised*");
    assert.deepEqual(await Promise.all(keys.map((key) => redis.redis.ttl(key))), keys.map(() => -1));
    assert.equal(keys.length, 4);
    await until(async () => {
      await new RedisKeyStore(new RedisLink(redis)).repair();
      return await state.get(entry.key) === undefined;
    });
    assert.equal(await state.get("repeat:promised"), undefined);
    assert.equal(await state.get("ticket:made again"), "ticket");
  });
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
    assert.equal(await state.get("a"), "1");
  });

  it("does not speak for a store that is away", async () => {
    const state = open();
    const answers: Record<string, () => Promise<unknown>> = {
      "there is no such value": () => state.get("b"),
      "others will find it": () =>
        state.enter({ key: "b", member: "b", agenda: "jobs", list: "list", ttlMs: 1000 }, "1"),
      "others find it too": () => state.set("b", "1", { ttlMs: 1000, shared: true }),
      "there is none to change": () => state.swap("b", { from: "1", to: "2" }),
      "it is due": () => state.claimDue("jobs", { leaseMs: 1000, limit: 1 }),
      "it is gone": () => state.delete("b"),
      "that is all there is": () => state.latest("jobs", 9),
    };
    for (const [answer, ask] of Object.entries(answers)) await assert.rejects(ask(), StoreAwayError, answer);
  });
});
