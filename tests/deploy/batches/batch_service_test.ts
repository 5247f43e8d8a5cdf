// Promises of a batch service while processes die, its Redis is full, and keys compete:
// over a real redis-server.
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { KeyLimits } from "../../../routes/keys/key_limits.ts";
import { MemoryKeyStore } from "../../../routes/keys/memory_key_store.ts";
import { ApiError } from "../../../protocol/wire/api_error.ts";
import { RECORD_BYTES } from "../../../deploy/batches/batch_scripts.ts";
import { UNTOLD } from "../../../deploy/batches/batch_keys.ts";
import { BatchWebhooks } from "../../../deploy/batches/batch_webhooks.ts";
import { WITHOUT_REDIS } from "../../service/redis.ts";
import { until } from "../../until.ts";
import { newId, OpenBatches, picture, toBytes } from "./open_batches.ts";

const QUOTA = { counter: "pictures:k:2026-11", holder: "edge", count: 8 };
const LEASE_MS = 60_000;

describe("a batch service", { skip: WITHOUT_REDIS }, () => {
  let batches: OpenBatches;
  beforeEach(async () => void (batches = await OpenBatches.open()));
  afterEach(() => batches[Symbol.asyncDispose]());

  it("hands out requests by turns of keys, and of a key's batches", async () => {
    const [large, other] = [await batches.addBatch("a", 50), await batches.addBatch("a", 50)];
    const small = await batches.addBatch("b", 3);
    const names = new Map([[large.id, "large"], [other.id, "other"], [small.id, "small"]]);
    const order: string[] = [];
    for (let i = 0; i < 10; i++) order.push(names.get((await batches.queue.take(LEASE_MS))!.batch)!);
    assert.deepEqual(order, [
      ...["large", "small", "other", "small", "large", "small", "other", "large", "other", "large"],
    ]);
  });

  it("gives back a batch's unmade pictures once when it fails, is cancelled or expires", async () => {
    const input_file_id = (await batches.files.add("k", { name: "bad", bytes: toBytes("{}") })).id;
    const failed = await batches.addBatch("k", 0, { input_file_id, quota: QUOTA });
    assert.equal(failed.status, "failed");
    const cancelled = await batches.addBatch("k", 8, { quota: QUOTA });
    let made = 0;
    {
      await using _puller = batches.openPuller(async () => {
        if (++made === 3) await batches.store.cancel("k", cancelled.id);
        return picture();
      }, { concurrency: 1 });
      await until(() => made === 3);
    }
    // Two processes at once, after one that died as it had given back and before it noted it.
    const store = new MemoryKeyStore();
    for (const { id } of [failed, cancelled]) {
      await store.charge({ ...QUOTA, id, amount: QUOTA.count, limit: 16, leaseMs: LEASE_MS });
    }
    assert.equal(await store.used(QUOTA.counter), 16);
    const limits = new KeyLimits({ store, log: () => {} });
    await using dying = batches.openKeeper({
      adoptPictures: (...told) => limits.adoptPictures(...told),
      async closePictures(...told) {
        await limits.closePictures(...told);
        throw new Error("dies");
      },
    });
    const living = [1, 2].map(() => batches.openKeeper(limits));
    await dying.look();
    await Promise.all(living.map((keeper) => keeper.look()));
    await living[0]!.look();
    for (const keeper of living) await keeper[Symbol.asyncDispose]();
    const ended = await batches.ended("k", cancelled.id);
    assert.deepEqual([ended.status, ended.request_counts.completed], ["cancelled", 3]);
    assert.equal(await store.used(QUOTA.counter), 3);
    assert.equal(await batches.redis.exists("spectrum:batches:owed"), 0);
    const left = await batches.results("k", ended.error_file_id);
    assert.deepEqual(left.map(({ custom_id }) => custom_id), ["3", "4", "5", "6", "7"]);
    // Nothing of it stays in the queue.
    assert.deepEqual(await batches.queue.counts(), { waiting: 0, active: 0, delayed: 0 });
  });

  it("tells a webhook of the end once it is taken, with OpenAI's event", async () => {
    const told: { id: string; status: string }[] = [];
    const webhooks = new BatchWebhooks({
      redis: batches.redis,
      webhooks: {
        tellBatch: ({ id }, { status, at }) => {
          assert.ok(Math.abs(at - Date.now()) < 60_000);
          return Promise.resolve(told.push({ id, status }) > 1);
        },
      },
      log: () => {},
      retryDelaysMs: [0, 0],
    });
    const { id } = await batches.addBatch("k", 1, { webhook: "https://example.org/hook" });
    await batches.addBatch("k", 1);
    await webhooks.look();
    assert.deepEqual(told, [], "it is under way");
    {
      await using _puller = batches.openPuller(() => picture());
      await batches.ended("k", id);
    }
    await batches.redis.zadd(UNTOLD, "XX", 0, id);
    // The first attempt is refused.
    for (let look = 0; look < 4; look++) await webhooks.look();
    assert.deepEqual(told, [{ id, status: "completed" }, { id, status: "completed" }]);
    assert.equal(await batches.redis.exists(UNTOLD), 0);
  });

  it("leaves metadata out of the files of a key that says so", async () => {
    const bodies: unknown[] = [];
    const fetch = async (request: Request) => {
      bodies.push((await request.json()).metadata);
      return picture();
    };
    const quiet = await batches.addBatch("k", 1, { file_metadata: false });
    {
      await using _puller = batches.openPuller(fetch);
      await batches.ended("k", quiet.id);
    }
    const plain = await batches.addBatch("k", 1, { file_metadata: true });
    await using _puller = batches.openPuller(fetch);
    await batches.ended("k", plain.id);
    assert.deepEqual(bodies, [false, undefined]);
  });

  it("an order that comes twice is one batch", async () => {
    const id = newId();
    const input_file_id = await batches.addFile("k", 2);
    await batches.addBatch("k", 2, { id, input_file_id });
    await batches.addBatch("k", 2, { id, input_file_id });
    assert.equal((await batches.queue.counts()).waiting, 2);
    assert.equal((await batches.store.batches("k", { after: undefined, limit: 20 })).data.length, 1);
  });

  it("ends an expired batch with the results that it has", async () => {
    await using expiring = await OpenBatches.open({ windowSeconds: 0 });
    const { id } = await expiring.addBatch("k", 450, { quota: { ...QUOTA, count: 450 } });
    assert.equal(await expiring.queue.take(LEASE_MS), undefined);
    await expiring.keeper.look();
    const batch = await expiring.ended("k", id);
    assert.deepEqual([batch.status, (await expiring.results("k", batch.error_file_id)).length], [
      "expired",
      450,
    ]);
    const { counter, holder } = QUOTA;
    assert.deepEqual(expiring.closed, [{ charged: { id, holder, counter }, made: 0 }]);
  });

  it("keeps a batch's pictures counted until its end when the edge that began it dies", async () => {
    let now = 0;
    const store = new MemoryKeyStore({ now: () => now });
    const limits = new KeyLimits({ store, log: () => {} });
    await using keeper = batches.openKeeper(limits);
    const [begun, never] = [newId(), newId()];
    for (const id of [begun, never]) {
      await store.charge({ ...QUOTA, id, amount: QUOTA.count, limit: 16, leaseMs: 30_000 });
    }
    await batches.addBatch("k", 8, { id: begun, quota: QUOTA });
    await keeper.look();
    now += 31_000;
    await store.repair();
    assert.equal(await store.used(QUOTA.counter), 8);
    await using _puller = batches.openPuller((request) =>
      request.headers.get("x-request-id")!.endsWith("-3") ? Response.json({}, { status: 400 }) : picture()
    );
    await batches.ended("k", begun);
    await keeper.look();
    assert.equal(await store.used(QUOTA.counter), 7);
    assert.equal(await batches.redis.exists("spectrum:batches:owed"), 0);
  });

  it("keeps the final count when a process hears late that the batch has begun", async () => {
    const store = new MemoryKeyStore();
    const limits = new KeyLimits({ store, log: () => {} });
    await using keeper = batches.openKeeper(limits);
    const { id } = await batches.addBatch("k", 2, { quota: QUOTA });
    let late = () => Promise.resolve();
    await using slow = batches.openKeeper({
      ...{ closePictures: (...told) => limits.closePictures(...told) },
      async adoptPictures(...told) {
        await late();
        await limits.adoptPictures(...told);
      },
    });
    late = async () => {
      await keeper.look();
      await using _puller = batches.openPuller(() => picture());
      await batches.ended("k", id);
      await keeper.look();
    };
    await slow.look();
    await keeper.look();
    assert.equal(await store.used(QUOTA.counter), 2);
    assert.equal(await batches.redis.exists("spectrum:batches:owed"), 0);
  });

  it("gives up a request that its pullers die of, and only that one", async () => {
    const { id } = await batches.addBatch("k", 2);
    // Ten processes take everything and die; the count is in the store.
    for (let death = 0; death < 10; death++) {
      const taken = await until(() => batches.queue.take(1));
      if (taken.index !== 0) {
        await batches.queue.again(taken, { delayMs: 0, why: "failed" });
        death--;
      }
    }
    await using _puller = batches.openPuller(() => picture());
    const batch = await batches.ended("k", id);
    assert.deepEqual(batch.request_counts, { total: 2, completed: 1, failed: 1 });
    assert.deepEqual((await batches.results("k", batch.error_file_id)).map(({ custom_id }) => custom_id), [
      "0",
    ]);
  });

  it("makes a request again when its lease has run out, and ends it once", async () => {
    const { id } = await batches.addBatch("k", 1);
    const slow = await until(() => batches.queue.take(1));
    await using _puller = batches.openPuller(() => picture());
    const batch = await batches.ended("k", id);
    assert.equal(batch.request_counts.completed, 1);
    const late = { outcome: "failed", custom_id: "0", response: null, error: null, pictures: 0 } as const;
    assert.equal(await batches.queue.settle(slow, late), false);
    assert.deepEqual((await batches.store.batch("k", id)).request_counts, batch.request_counts);
  });

  it("waits out workers that are away, and tries failures four times", async () => {
    const { id } = await batches.addBatch("k", 2);
    const asked = [0, 0];
    await using _puller = batches.openPuller(async (request) => {
      const [first] = [Number(request.headers.get("x-request-id")!.split("-").at(-1))];
      await request.text();
      const count = ++asked[first]!;
      if (first === 1) return Response.json({ error: {} }, { status: 500 });
      return count <= 10 ? Response.json({ error: {} }, { status: 503 }) : picture();
    });
    const batch = await batches.ended("k", id);
    assert.deepEqual([batch.request_counts.completed, batch.request_counts.failed, asked], [1, 1, [11, 4]]);
  });

  it("holds pictures until a full Redis has room; a cancelled batch still ends", async () => {
    const kept = await batches.addBatch("a", 30);
    const dropped = await batches.addBatch("b", 30);
    let made = 0;
    await using _puller = batches.openPuller(() => {
      made++;
      return picture(200_000);
    }, { concurrency: 4 });
    await until(async () => (await batches.store.batch("a", kept.id)).request_counts.completed > 2);
    await batches.leaveRoom(0);
    await until(() => batches.log.some((line) => line.includes("the end of a request waits")));
    // Nothing more is promised, but what there is can be read.
    for (const promise of [() => batches.addBatch("c", 1), () => batches.addFile("c", 1)]) {
      await assert.rejects(promise(), (error) => error instanceof ApiError && error.retryAfter === 60);
    }
    await batches.store.cancel("b", dropped.id);
    await batches.keeper.look();
    const cancelled = await batches.ended("b", dropped.id);
    assert.equal(cancelled.status, "cancelled");
    const lines = await Promise.all(
      [cancelled.output_file_id, cancelled.error_file_id].map((file) => file && batches.results("b", file)),
    );
    assert.equal(lines.flat().length, 30);
    assert.equal((await batches.store.batch("a", kept.id)).status, "in_progress");
    const before = made;
    await batches.leaveRoom();
    const batch = await batches.ended("a", kept.id);
    assert.deepEqual(batch.request_counts, { total: 30, completed: 30, failed: 0 });
    assert.ok(made >= before);
    assert.equal((await batches.results("a", batch.output_file_id)).length, 30);
  });

  it("takes in requests as the size of earlier results and all promises leave room", async () => {
    const first = await batches.addBatch("a", 2);
    {
      await using _puller = batches.openPuller(() => picture(100_000));
      await batches.ended("a", first.id);
    }
    const input_file_id = await batches.addFile("a", 100);
    await batches.leaveRoom(15 * 2 ** 20);
    await batches.addBatch("a", 100, { input_file_id });
    const full = (error: unknown) => error instanceof ApiError && error.code === "batches_full";
    await assert.rejects(batches.addBatch("b", 100), full);
    await batches.leaveRoom();
    await batches.addBatch("b", 100);
  });

  it("refuses a key more files and results than its share, until it deletes some or they end", async () => {
    const full = (status: number) => (error: unknown) =>
      error instanceof ApiError && error.code === "batches_full" && error.status === status;
    const bytes = toBytes("x".repeat(900_000));
    await batches.leaveRoom(16 * 2 ** 20);
    const ids: string[] = [];
    await assert.rejects(async () => {
      for (;;) ids.push((await batches.files.add("a", { name: "a", bytes })).id);
    }, full(429));
    await batches.files.add("b", { name: "b", bytes });
    await batches.files.delete("a", ids.pop()!);
    await batches.files.add("a", { name: "a", bytes });
    // Batches that fail are records too.
    const input_file_id = ids[0]!;
    const order = { input_file_id, metadata: { note: "x".repeat(500) } };
    await assert.rejects(async () => {
      for (;;) await batches.addBatch("a", 0, order);
    }, full(429));
    await batches.addBatch("b", 1);
    assert.ok((await batches.redis.zcard("spectrum:batches:held:a")) > ids.length);
  });

  it("counts a batch's promised results for its key, and only its actual results after the end", async () => {
    const held = async () => {
      const members = await batches.redis.zrange("spectrum:batches:held:k", "0", "-1") as string[];
      return new Map(members.map((member) => member.split(":") as [string, string]));
    };
    const { id } = await batches.addBatch("k", 3);
    assert.ok(Number((await held()).get(id)) > 3 * 10_000);
    await using _puller = batches.openPuller(() => picture());
    const batch = await batches.ended("k", id);
    const { bytes } = await batches.store.file("k", batch.output_file_id!);
    const left = await held();
    assert.equal(left.get(id), String(bytes + RECORD_BYTES));
    assert.equal(left.size, 2);
  });

  it("results larger than one read come whole and in order", async () => {
    const { id } = await batches.addBatch("k", 5);
    await using _puller = batches.openPuller(async (request) => {
      await request.text();
      return picture(request.headers.get("x-request-id")!.endsWith("-2") ? 5 * 2 ** 20 : 1.5 * 2 ** 20);
    });
    const batch = await batches.ended("k", id);
    const lines = await batches.results("k", batch.output_file_id);
    assert.deepEqual(lines.map(({ custom_id }) => custom_id), ["0", "1", "2", "3", "4"]);
  });

  it("ends all cancelled batches in one look, one with a lost file too", async () => {
    const ids: string[] = [];
    for (let i = 0; i < 12; i++) ids.push((await batches.addBatch("k", 2)).id);
    const lost = (await batches.store.batch("k", ids[3]!)).input_file_id;
    await batches.redis.del(`spectrum:batches:content:${lost}`);
    for (const id of ids) await batches.store.cancel("k", id);
    await batches.keeper.look();
    for (const id of ids) assert.equal((await batches.store.batch("k", id)).status, "cancelled");
  });

  it("a batch whose file is lost ends, with its requests failed", async () => {
    const { id, input_file_id } = await batches.addBatch("k", 2);
    await batches.redis.del(`spectrum:batches:content:${input_file_id}`);
    await using _puller = batches.openPuller(() => picture());
    assert.deepEqual((await batches.ended("k", id)).request_counts, { total: 2, completed: 0, failed: 2 });
  });

  it("the input of a deleted file stays until its batch has ended", async () => {
    const input_file_id = await batches.addFile("k", 2);
    const { id } = await batches.addBatch("k", 2, { input_file_id });
    await batches.files.delete("k", input_file_id);
    await assert.rejects(batches.files.file("k", input_file_id), { status: 404 });
    assert.equal(await batches.redis.exists(`spectrum:batches:content:${input_file_id}`), 1);
    await using _puller = batches.openPuller(() => picture());
    assert.equal((await batches.ended("k", id)).request_counts.completed, 2);
    assert.equal(await batches.redis.exists(`spectrum:batches:content:${input_file_id}`), 0);
  });

  it("reads only the records that a page of a list shows", async () => {
    const input_file_id = await batches.addFile("k", 1);
    for (let i = 0; i < 300; i++) await batches.addBatch("k", 1, { input_file_id });
    for (let i = 0; i < 100; i++) await batches.addFile("k", 1);
    const read = async (list: () => Promise<{ data: unknown[] }>) => {
      await batches.redis.config("RESETSTAT");
      assert.equal((await list()).data.length, 1);
      const stats = await batches.redis.info("commandstats");
      return Object.fromEntries(
        [...stats.matchAll(/^cmdstat_(\w+):calls=(\d+)/gm)]
          .filter(([, name]) => !["info", "config"].includes(name!)).map((
            [, name, calls],
          ) => [name, Number(calls)]),
      );
    };
    const first = await batches.store.batches("k", { after: undefined, limit: 1 });
    assert.ok(first.has_more);
    assert.deepEqual(await read(() => batches.store.batches("k", { after: first.last_id!, limit: 1 })), {
      zrevrank: 1,
      zrevrange: 1,
      hgetall: 1,
    });
    assert.deepEqual(await read(() => batches.files.files("k", { after: undefined, limit: 1 })), {
      zrevrange: 1,
      mget: 1,
    });
  });
});
