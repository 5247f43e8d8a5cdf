// Keys in a real redis-server behind the adapter in deploy/: written by `deno task keys`, read by edges.
import { describe, it } from "@std/testing/bdd";
import { Redis } from "ioredis";
import assert from "node:assert/strict";
import { ChannelHub } from "../../deploy/redis_rest/channel_hub.ts";
import { createRedisRestApp } from "../../deploy/redis_rest/redis_rest_app.ts";
import { startRedisServer } from "../../deploy/redis_rest/redis_server.ts";
import { RedisLink } from "../../protocol/store/redis_link.ts";
import { parseApiKey } from "../../routes/keys/api_key.ts";
import { KeyDirectory } from "../../routes/keys/key_directory.ts";
import { KeyLimits, monthCounter } from "../../routes/keys/key_limits.ts";
import { RedisKeyStore } from "../../routes/keys/redis_key_store.ts";
import { drawTestKey } from "../routes/keys/key.ts";
import { skipWithout } from "../installed.ts";

const skip = skipWithout("redis-server");

async function startRedis() {
  const server = await startRedisServer();
  const redis = new Redis(server.url, { retryStrategy: () => null, maxRetriesPerRequest: 0 });
  redis.on("error", () => {});
  const token = "test-token";
  const rest = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    createRedisRestApp({ redis, channels: new ChannelHub(redis), token }).fetch,
  );
  const url = `http://127.0.0.1:${rest.addr.port}`;
  return {
    redis,
    stop: () => server[Symbol.asyncDispose](),
    // A busy machine is not to pass for a store that is away.
    open: () => new RedisKeyStore(new RedisLink({ url, token, timeoutMs: 30_000 })),
    async keys(...args: string[]) {
      const output = await new Deno.Command(Deno.execPath(), {
        args: ["task", "--quiet", "keys", ...args],
        env: { UPSTASH_REDIS_REST_URL: url, UPSTASH_REDIS_REST_TOKEN: token },
      }).output();
      const [out, err] = [output.stdout, output.stderr].map((bytes) =>
        new TextDecoder().decode(bytes).trim()
      );
      return { code: output.code, out: out!, err: err! };
    },
    async [Symbol.asyncDispose]() {
      redis.disconnect();
      await rest.shutdown();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Another request's pictures. */
function asked(count: number) {
  return { id: crypto.randomUUID(), holder: "h", count };
}

describe("RedisKeyStore", { skip }, () => {
  it("`deno task keys` creates, lists and revokes keys, which an edge notices within 30 s", async () => {
    await using redis = await startRedis();
    const flags = ["--name", "Ada", "--scopes", "read", "--rpm", "60", "--monthly-quota", "100", "--json"];
    const created = JSON.parse((await redis.keys("create", ...flags)).out);
    const { id, secret } = parseApiKey(created.key)!;
    assert.equal(created.id, id);

    const state = { now: 0 };
    const store = redis.open();
    const directory = new KeyDirectory({ store, log: () => {}, now: () => state.now });
    const record = (await directory.find(id))!;
    assert.deepEqual(
      [record.name, record.scopes, record.requests_per_minute, record.pictures_per_month, record.revoked_at],
      ["Ada", ["read"], 60, 100, null],
    );
    const kept = JSON.stringify(await redis.redis.hgetall("spectrum:keys"));
    assert.ok(kept.includes(record.secret_sha256) && !kept.includes(secret));

    await new KeyLimits({ store, log: () => {} }).chargePictures(record, asked(3));
    const listed = await redis.keys("list");
    assert.match(listed.out, /Ada {2}read {2}60 requests a minute, 3 of 100 pictures this month/);
    assert.ok(!listed.out.includes(record.secret_sha256));

    assert.equal((await redis.keys("revoke", id)).code, 0);
    state.now = 29_999;
    assert.equal((await directory.find(id))!.revoked_at, null);
    state.now = 30_000;
    assert.notEqual((await directory.find(id))!.revoked_at, null);
    assert.match((await redis.keys("list", "--json")).out, /"revoked_at":"20/);
  });

  it("`deno task keys` names the mistake in a command line", async () => {
    await using redis = await startRedis();
    const wrong: [string[], RegExp][] = [
      [["create"], /--name takes/],
      [["create", "--name", "x", "--scopes", "read,write"], /--scopes takes generate, read, admin/],
      [["create", "--name", "x", "--rpm", "0"], /--rpm takes a whole number >= 1/],
      [["revoke", "000000000000"], /there is no key '000000000000'/],
      [["destroy"], /must be create, list or revoke/],
    ];
    for (const [args, message] of wrong) {
      const { code, err } = await redis.keys(...args);
      assert.equal(code, 2, args.join(" "));
      assert.match(err, message);
    }
    assert.equal(await redis.open().isEmpty(), true);
  });

  it("add() leaves a key that is there as it is", async () => {
    await using redis = await startRedis();
    const store = redis.open();
    const { record } = await drawTestKey();
    assert.equal(await store.add(record), true);
    assert.equal(await store.add({ ...record, name: "other" }), false);
    assert.equal((await store.find(record.id))!.name, "test");
    assert.equal(await store.isEmpty(), false);
  });

  it("take() counts once for all instances, however many ask at once, and forgets in time", async () => {
    await using redis = await startRedis();
    const stores = [redis.open(), redis.open(), redis.open()];
    const take = { counter: "x", amount: 2, limit: 41, ttlMs: 120_000 };
    const taken = await Promise.all(Array.from({ length: 60 }, (_, i) => stores[i % 3]!.take(take)));
    assert.equal(taken.filter(({ ok }) => ok).length, 20);
    assert.equal(await stores[0]!.used("x"), 40);
    // A full store evicts no limit: its end is noted apart.
    assert.equal(await redis.redis.pttl("spectrum:count:x"), -1);
    const ttl = Number(await redis.redis.zscore("spectrum:kept", "spectrum:count:x")) - Date.now();
    assert.ok(ttl > 0 && ttl <= 120_000, `${ttl} ms`);
    assert.deepEqual(await stores[1]!.take({ ...take, amount: -10 }), { ok: true, used: 30, before: 0 });
    // Half of the window before counts: 15 and 26 make 41, 27 would be too many.
    const previous = { counter: "x", weight: 0.5 };
    const next = { ...take, counter: "y", previous };
    assert.deepEqual(await stores[2]!.take({ ...next, amount: 27 }), { ok: false, used: 0, before: 30 });
    assert.deepEqual(await stores[2]!.take({ ...next, amount: 26 }), { ok: true, used: 26, before: 30 });
  });

  it("limits hold over instances, roll over with the month, and go on when Redis is away", async () => {
    await using redis = await startRedis();
    const state = { now: Date.parse("2026-02-28T23:59:00Z") };
    const instance = () => new KeyLimits({ store: redis.open(), log: () => {}, now: () => state.now });
    const [first, second] = [instance(), instance()];
    const { record } = await drawTestKey({ requests_per_minute: 2, pictures_per_month: 5 });
    await first.takeRequest(record);
    await second.takeRequest(record);
    await assert.rejects(first.takeRequest(record), { code: "rate_limit_exceeded", status: 429 });
    await first.chargePictures(record, asked(3));
    await assert.rejects(second.chargePictures(record, asked(3)), {
      code: "insufficient_quota",
      retryAfter: 60,
    });
    state.now += 60_000;
    await second.chargePictures(record, asked(5));
    assert.equal(await redis.open().used(monthCounter(record.id, new Date(state.now))), 5);

    state.now += 3_600_000;
    await redis.stop();
    for (const limits of [first, second]) {
      await limits.takeRequest(record);
      await limits.takeRequest(record);
      await assert.rejects(limits.takeRequest(record), { code: "rate_limit_exceeded" });
    }
  });
});
