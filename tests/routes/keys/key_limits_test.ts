import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import type { ApiError } from "../../../protocol/wire/api_error.ts";
import { KeyLimits, monthCounter } from "../../../routes/keys/key_limits.ts";
import { MemoryKeyStore } from "../../../routes/keys/memory_key_store.ts";
import type { KeyRecord } from "../../../routes/keys/key_store.ts";
import { drawTestKey, interruptible } from "./key.ts";

function start(at: string) {
  const state = { now: Date.parse(at), away: false };
  const { store, asked } = interruptible(new MemoryKeyStore(), () => state.away);
  const instance = () => new KeyLimits({ store, log: () => {}, now: () => state.now });
  return { state, store, asked, instance };
}

/** Each time another request's. */
function charge(limits: KeyLimits, record: KeyRecord | undefined, count: number) {
  return limits.chargePictures(record, { id: crypto.randomUUID(), holder: "h", count });
}

async function refused(taking: Promise<unknown>): Promise<ApiError> {
  try {
    await taking;
  } catch (error) {
    return error as ApiError;
  }
  throw new assert.AssertionError({ message: "it was not refused" });
}

describe("KeyLimits", () => {
  it("takeRequest() holds the limit over all instances, and retry-after is when one more fits", async () => {
    for (const limit of [1, 2, 7, 60]) {
      for (const second of [0, 13, 59]) {
        const { state, instance } = start(`2026-03-01T10:00:${String(second).padStart(2, "0")}Z`);
        const { record } = await drawTestKey({ requests_per_minute: limit });
        const [first, second_] = [instance(), instance()];
        for (let i = 0; i < limit; i++) await (i % 2 ? first : second_).takeRequest(record);
        const { status, code, retryAfter } = await refused(first.takeRequest(record));
        assert.deepEqual([status, code], [429, "rate_limit_exceeded"]);
        state.now += retryAfter! * 1000;
        await second_.takeRequest(record);
      }
    }
  });

  it("takeRequest() lets no burst through where one minute ends and the next begins", async () => {
    const { state, instance } = start("2026-03-01T10:00:59Z");
    const limits = instance();
    const { record } = await drawTestKey({ requests_per_minute: 10 });
    for (let i = 0; i < 10; i++) await limits.takeRequest(record);
    state.now += 2000;
    assert.equal((await refused(limits.takeRequest(record))).status, 429);
    // Half a minute later half of them still count.
    state.now = Date.parse("2026-03-01T10:01:30Z");
    for (let i = 0; i < 5; i++) await limits.takeRequest(record);
    assert.equal((await refused(limits.takeRequest(record))).status, 429);
  });

  it("takeRequest() refuses a flood without asking the store", async () => {
    const { asked, instance } = start("2026-03-01T10:00:00Z");
    const limits = instance();
    const { record } = await drawTestKey({ requests_per_minute: 3 });
    for (let i = 0; i < 3; i++) await limits.takeRequest(record);
    const before = asked();
    for (let i = 0; i < 100; i++) await refused(limits.takeRequest(record));
    assert.equal(asked(), before);
  });

  it("chargePictures() gives all or none of a month's pictures, and again in the next month", async () => {
    const { state, store, instance } = start("2026-12-31T23:00:00Z");
    const { record } = await drawTestKey({ pictures_per_month: 10 });
    const [first, second] = [instance(), instance()];
    await charge(first, record, 4);
    await charge(second, record, 4);
    const { status, code, retryAfter } = await refused(charge(first, record, 3));
    assert.deepEqual([status, code, retryAfter], [429, "insufficient_quota", 3600]);
    await charge(first, record, 2);
    assert.equal(await store.used(monthCounter(record.id, new Date(state.now))), 10);
    state.now += retryAfter! * 1000;
    await charge(second, record, 10);
    assert.equal(await store.used(`pictures:${record.id}:2027-01`), 10);
  });

  it("settlePictures() takes back pictures that were not made", async () => {
    const { state, store, instance } = start("2026-03-01T10:00:00Z");
    const { record } = await drawTestKey({ pictures_per_month: 5 });
    const limits = instance();
    const charged = (await charge(limits, record, 5))!;
    // A request that ends in the next month gives back to its own.
    state.now = Date.parse("2026-04-01T00:00:00Z");
    await limits.settlePictures({ ...charged, delivered: [], done: "holder" });
    assert.equal(await store.used(`pictures:${record.id}:2026-03`), 0);
    assert.equal(await store.used(`pictures:${record.id}:2026-04`), 0);
    await charge(limits, record, 5);
  });

  it("closePictures() counts a batch's pictures once at any edge, and reports a store away", async () => {
    const { state, store, instance } = start("2026-03-01T10:00:00Z");
    const { record } = await drawTestKey({ pictures_per_month: 5 });
    const [first, second] = [instance(), instance()];
    const charged = (await charge(first, record, 4))!;
    state.away = true;
    await assert.rejects(first.closePictures(charged, [], 3));
    state.away = false;
    for (const limits of [first, second, first]) await limits.closePictures(charged, [], 3);
    assert.equal(await store.used(charged.counter), 3);
    // A process that heard late that the batch had begun.
    await second.adoptPictures(charged, { count: 4, leaseMs: 60_000 });
    await second.closePictures(charged, [], 3);
    assert.equal(await store.used(charged.counter), 3);
    await charge(first, record, 2);
    assert.equal((await refused(charge(first, record, 1))).code, "insufficient_quota");
  });

  it("repair() lists live requests, without ended ones and handed-over ones", async () => {
    const renewed: string[][] = [];
    class Store extends MemoryKeyStore {
      override renew(...[held, leaseMs]: Parameters<MemoryKeyStore["renew"]>): Promise<void> {
        renewed.push(held.map(({ holder }) => holder));
        return super.renew(held, leaseMs);
      }
    }
    let now = 0;
    const limits = new KeyLimits({ store: new Store(), log: () => {}, now: () => now });
    const { record } = await drawTestKey({ pictures_per_month: 9 });
    const ask = async (holder: string) =>
      (await limits.chargePictures(record, { id: holder, holder, count: 1 }))!;
    const [ended, job] = [await ask("ended"), await ask("job")];
    await ask("under way");
    await limits.settlePictures({ ...ended, delivered: [0], done: "holder" });
    limits.handOver(job);
    for (const passed of [0, 4000, 4000]) {
      now += passed;
      await limits.repair();
    }
    assert.deepEqual(renewed, [["under way"], ["under way"]]);
  });

  it("limits are each instance's own while the store is away", async () => {
    const { state, instance } = start("2026-03-01T10:00:00Z");
    const [first, second] = [instance(), instance()];
    const { record } = await drawTestKey({ requests_per_minute: 2, pictures_per_month: 3 });
    state.away = true;
    for (const limits of [first, second]) {
      await limits.takeRequest(record);
      await limits.takeRequest(record);
      assert.equal((await refused(limits.takeRequest(record))).status, 429);
      await charge(limits, record, 3);
      assert.equal((await refused(charge(limits, record, 1))).code, "insufficient_quota");
    }
  });

  it("treats null as no limit and 0 as no pictures", async () => {
    const { instance, asked } = start("2026-03-01T10:00:00Z");
    const limits = instance();
    const free = (await drawTestKey()).record;
    for (let i = 0; i < 1000; i++) await limits.takeRequest(free);
    await charge(limits, free, 1e6);
    await charge(limits, undefined, 1e6);
    assert.equal(asked(), 0);
    const none = (await drawTestKey({ pictures_per_month: 0 })).record;
    assert.equal((await refused(charge(limits, none, 1))).code, "insufficient_quota");
  });
});
