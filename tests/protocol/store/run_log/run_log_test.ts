// One contract, two implementations: what holds in this process holds in a real Redis behind the adapter.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { RedisLink } from "../../../../protocol/store/redis_link.ts";
import type { NumberedEvent, RunEvent } from "../../../../protocol/wire/run_event.ts";
import { MemoryRunLog } from "../../../../protocol/store/run_log/memory_run_log.ts";
import { RedisRunLog } from "../../../../protocol/store/run_log/redis_run_log.ts";
import {
  LEASE_MS,
  type OpenRun,
  type OrderImage,
  type RunLog,
} from "../../../../protocol/store/run_log/run_log.ts";
import { type RestRedis, startRestRedis, WITHOUT_REDIS } from "../../../service/redis.ts";
import { until } from "../../../until.ts";

const STEP = { type: "step", step_index: 0 } as RunEvent;
const DONE = { type: "completed", b64_json: "AAAA" } as RunEvent;

function wish(fields: Partial<OpenRun> = {}): OpenRun {
  return {
    name: crypto.randomUUID(),
    id: crypto.randomUUID(),
    viewer: "a",
    viewerMs: 60_000,
    previews: 0,
    finishedToo: true,
    keepMs: 60_000,
    request: "{}",
    ...fields,
  };
}

function numbered(...events: RunEvent[]): NumberedEvent[] {
  return events.map((event, index) => ({ id: index + 1, event }));
}

/** @param expire ends a run's lease, as if its holder had been silent */
function contract(
  open: () => RunLog,
  expire: (id: string, leaseMs?: number) => void | Promise<unknown>,
): void {
  it("open() begins a run once, even if many ask at the same time", async () => {
    const log = open();
    const { name } = wish();
    const opened = await Promise.all(Array.from({ length: 20 }, () => log.open(wish({ name }))));
    assert.equal(opened.filter(({ started }) => started).length, 1);
    assert.equal(new Set(opened.map(({ id }) => id)).size, 1);
  });

  it("open() joins no run that shows too little, is not wanted any more, or has failed", async () => {
    const log = open();
    const name = crypto.randomUUID();
    const first = await log.open(wish({ name, previews: 1 }));
    assert.equal((await log.open(wish({ name, previews: 1, viewer: "b" }))).started, false);
    assert.equal((await log.open(wish({ name, previews: 2, viewer: "c" }))).started, true);
    const other = crypto.randomUUID();
    const { id } = await log.open(wish({ name: other }));
    assert.equal(await log.leave(id, "a"), true);
    const again = await log.open(wish({ name: other }));
    assert.equal(again.started, true);
    const failed: RunEvent = { type: "failed", status: 500, error: {} as never };
    await log.append({ id: again.id, attempt: 1 }, numbered(failed));
    assert.equal((await log.open(wish({ name: other }))).started, true);
    assert.equal(await log.leave(first.id, "a"), false);
  });

  it("open() finds a finished run while it is kept, if that will do", async () => {
    const log = open();
    const name = crypto.randomUUID();
    const { id } = await log.open(wish({ name, keepMs: 300 }));
    await log.append({ id, attempt: 1 }, numbered(STEP, DONE));
    assert.deepEqual(await log.open(wish({ name, keepMs: 300 })), { id, started: false, state: "completed" });
    assert.equal((await log.open(wish({ name, finishedToo: false }))).started, true);
    await until(async () => await log.read(id, 0) === undefined);
    assert.equal(await log.attach(id, { viewer: "x", viewerMs: 1000 }), undefined);
  });

  it("read() returns appended events from any place; repeated appends add nothing", async () => {
    const log = open();
    const { id } = await log.open(wish());
    const held = { id, attempt: 1 };
    assert.deepEqual(await log.read(id, 0), { state: "open", worker: undefined, events: [] });
    await log.assign(held, "http://w");
    const events = numbered({ type: "started" }, STEP, { ...STEP, step_index: 1 } as RunEvent, DONE);
    await log.append(held, events.slice(0, 2));
    await log.append(held, events.slice(0, 3));
    await log.append(held, events.slice(3));
    assert.deepEqual(await log.read(id, 1), {
      state: "completed",
      worker: "http://w",
      events: events.slice(1),
    });
    assert.deepEqual((await log.last(id))?.events, events.slice(3));
    assert.equal(await log.read("no such run", 0), undefined);
  });

  it("brief() tells a run's progress without bytes, also after repeated appends", async () => {
    const log = open();
    const { id } = await log.open(wish());
    const held = { id, attempt: 1 };
    assert.deepEqual(await log.brief(id), { state: "open", worker: undefined, last: undefined });
    await log.assign(held, "http://w");
    const preview = { type: "preview", preview_index: 0, step_index: 0, b64_json: "AAAA" } as RunEvent;
    const done = { ...DONE, stills: { thumbnail: "A", spritesheet: "B" }, image_tokens: 7 } as RunEvent;
    const events = numbered(STEP, preview, done);
    await log.append(held, events.slice(0, 2));
    const shown = { type: "preview", preview_index: 0, step_index: 0 };
    const expected = { state: "open", worker: "http://w", last: { id: 2, event: shown } };
    assert.deepEqual(await log.brief(id), expected);
    await log.append(held, events.slice(0, 1));
    assert.deepEqual(await log.brief(id), expected);
    await log.append(held, events.slice(2));
    assert.deepEqual(await log.brief(id), {
      state: "completed",
      worker: "http://w",
      last: { id: 3, event: { type: "completed", image_tokens: 7 } },
    });
    assert.equal(await log.brief("no such run"), undefined);
  });

  it("append() takes events of many megabytes", async () => {
    const log = open();
    const { id } = await log.open(wish());
    const b64_json = "abcdefgh".repeat(1_500_000);
    await log.append({ id, attempt: 1 }, numbered(STEP, { ...DONE, b64_json } as RunEvent));
    const seen: NumberedEvent[] = [];
    await until(async () => seen.push(...(await log.read(id, seen.length))!.events) === 2);
    const completed = seen[1]!.event;
    assert.ok(completed.type === "completed" && completed.b64_json === b64_json);
  });

  it("takeOver() gives an orphan to one caller, and silences the attempt before", async () => {
    const log = open();
    const { id } = await log.open(wish({ request: "what to make" }));
    const held = { id, attempt: 1 };
    await log.assign(held, "http://w");
    await log.append(held, numbered({ type: "started" }, STEP));
    assert.equal(await log.takeOver(id), undefined);
    await log.release(held);
    assert.ok((await log.orphans()).includes(id));
    const taken = (await Promise.all(Array.from({ length: 5 }, () => log.takeOver(id)))).filter(Boolean);
    const expected = {
      id,
      attempt: 2,
      lastId: 2,
      stepped: true,
      abandoned: false,
      restarts: 0,
      takeovers: 1,
      worker: "http://w",
    };
    assert.deepEqual(taken, [{ ...expected, request: "what to make", image: undefined }]);
    assert.equal(await log.append(held, [{ id: 3, event: STEP }]), "lost");
    assert.deepEqual((await log.renew([held, { id, attempt: 2 }])).map(({ state }) => state), [
      "lost",
      "held",
    ]);
    assert.equal((await log.orphans()).includes(id), false);
    assert.equal(await log.append({ id, attempt: 2 }, [{ id: 3, event: DONE }]), "held");
    assert.deepEqual((await log.read(id, 1))!.events.map(({ id }) => id), [2, 3]);
  });

  it("takeOver() tells a lease that ended by itself, and takes an unwatched run if asked to", async () => {
    const log = open();
    const { id } = await log.open(wish());
    await expire(id);
    assert.equal((await log.takeOver(id))?.abandoned, true);
    await log.release({ id, attempt: 2 });
    assert.equal((await log.takeOver(id))?.abandoned, false);
    const { id: unwatched } = await log.open(wish({ viewerMs: 0 }));
    await new Promise((resolve) => setTimeout(resolve, 5));
    await expire(unwatched);
    assert.equal((await log.takeOver(unwatched, { unwatched: true }))?.attempt, 2);
    await expire(unwatched);
    assert.equal(await log.takeOver(unwatched), undefined);
    assert.equal((await log.brief(unwatched))!.state, "cancelled");
  });

  it("postpone() gives a run up for a while, and counts no takeover", async () => {
    const log = open();
    const { id } = await log.open(wish({ viewerMs: 600_000 }));
    await log.append({ id, attempt: 1 }, numbered(STEP));
    await log.postpone({ id, attempt: 1 }, 60_000);
    assert.equal((await log.orphans()).includes(id), false);
    assert.equal(await log.takeOver(id), undefined);
    await expire(id, 60_000);
    assert.ok((await log.orphans()).includes(id));
    const taken = (await log.takeOver(id))!;
    assert.deepEqual([taken.attempt, taken.takeovers, taken.abandoned, taken.stepped], [2, 0, false, true]);
    await log.postpone({ id, attempt: 1 }, 0);
    await expire(id);
    const { takeovers, abandoned } = (await log.takeOver(id))!;
    assert.deepEqual([takeovers, abandoned], [1, true]);
  });

  it("attend() knows an edge once, however often it says that it is there", async () => {
    const log = open();
    assert.deepEqual([await log.attend("a"), await log.attend("a")], [1, 1]);
  });

  it("keeps one copy of an order's image for all its runs, and drops it with the last run", async () => {
    const log = open();
    const large = (size: number) => ({ name: crypto.randomUUID(), base64: "B".repeat(size) });
    const begin = async (image: OrderImage) => (await log.open(wish({ request: "order", image }))).id;
    const take = async (id: string) => {
      await log.release({ id, attempt: 1 });
      const { request, image } = (await log.takeOver(id))!;
      return { request, image: image?.length };
    };
    const end = (id: string) => log.append({ id, attempt: 2 }, [{ id: 1, event: DONE }]);
    const shared = large(5_000_000);
    const ids = [await begin(shared), await begin(shared), await begin({ ...shared })];
    // There is room for 13 in all.
    for (let i = 0; i < 12; i++) ids.push(await begin(large(5_000_000)));
    const beyond = await begin(large(5_000_000));
    for (const id of ids) assert.deepEqual(await take(id), { request: "order", image: 5_000_000 });
    assert.deepEqual(await take(beyond), { request: "", image: undefined });
    for (const id of ids.slice(0, 3)) await end(id);
    const again = await begin(large(5_000_000));
    assert.equal((await take(again)).request, "order");
    for (const id of [...ids.slice(3), beyond, again]) await end(id);
  });

  it("advance() silences a worker that hung, and leaves others' and unwanted runs alone", async () => {
    const log = open();
    const { id } = await log.open(wish({ viewer: "a" }));
    const held = { id, attempt: 1 };
    const next = { id, attempt: 2 };
    assert.equal(await log.advance(held), 2);
    assert.equal(await log.append(held, numbered({ type: "started" })), "lost");
    assert.equal(await log.assign(next, "http://w"), "held");
    assert.equal(await log.advance(held), undefined);
    await log.release(next);
    const { attempt, takeovers } = (await log.takeOver(id))!;
    assert.deepEqual([attempt, takeovers], [3, 1]);
    await log.leave(id, "a");
    assert.equal(await log.advance({ id, attempt }), undefined);
    assert.equal(await log.advance({ id: "no such run", attempt: 1 }), undefined);
  });

  it("leave() cancels with the last viewer; silent viewers do not count", async () => {
    const log = open();
    const { id } = await log.open(wish({ viewerMs: 1 }));
    await log.attach(id, { viewer: "b", viewerMs: 60_000 });
    await log.attach(id, { viewer: "c", viewerMs: 60_000 });
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(await log.renew([{ id, attempt: 1 }]), [{ state: "held", viewers: 2 }]);
    assert.equal(await log.leave(id, "b"), false);
    assert.equal(await log.leave(id, "c"), true);
    assert.deepEqual(await log.renew([{ id, attempt: 1 }]), [{ state: "cancelled", viewers: 0 }]);
    assert.equal(await log.attach(id, { viewer: "d", viewerMs: 1000 }), "cancelled");
  });

  it("watch() keeps a viewer, of unfinished runs only", async () => {
    const log = open();
    const { id } = await log.open(wish({ viewerMs: 1 }));
    await log.watch([{ id, viewer: "a" }, { id: "no such run", viewer: "a" }], 60_000);
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(await log.renew([{ id, attempt: 1 }]), [{ state: "held", viewers: 1 }]);
    assert.equal(await log.attach("no such run", { viewer: "a", viewerMs: 1 }), undefined);
  });

  it("renew() does not know a run that the store has lost", async () => {
    assert.deepEqual(await open().renew([{ id: "no such run", attempt: 1 }]), [{
      state: "unknown",
      viewers: 0,
    }]);
  });

  it("changes() announces appends", async () => {
    const log = open();
    const { id } = await log.open(wish());
    const { promise, resolve } = Promise.withResolvers<void>();
    using _subscription = log.changes((changed) => changed === id && resolve());
    // A subscription takes a moment to be heard of.
    const timer = setInterval(() => log.append({ id, attempt: 1 }, numbered(STEP)), 20);
    await promise;
    clearInterval(timer);
  });
}

describe("MemoryRunLog", () => {
  let aheadMs = 0;
  const now = () => performance.now() + aheadMs;
  contract(() => new MemoryRunLog({ now }), (_id, leaseMs = LEASE_MS) => void (aheadMs += leaseMs + 1));

  it("drops the oldest results beyond its bound, however long they were to be kept", async () => {
    const large = { ...DONE, b64_json: "A".repeat(400_000) } as RunEvent;
    const log = new MemoryRunLog({ maxBytes: 1_000_000 });
    const ids: string[] = [];
    for (let i = 0; i < 4; i++) {
      const { id } = await log.open(wish());
      await log.append({ id, attempt: 1 }, numbered(large));
      ids.push(id);
    }
    const kept = await Promise.all(ids.map((id) => log.last(id)));
    assert.deepEqual(kept.map((page) => page?.state), [undefined, undefined, "completed", "completed"]);
  });

  it("counts previews: streams that show many are forgotten sooner", async () => {
    const log = new MemoryRunLog({ maxBytes: 4_000_000 });
    const preview = { type: "preview", step_index: 0, b64_json: "A".repeat(250_000) } as const;
    for (let i = 0; i < 40; i++) {
      const { id } = await log.open(wish());
      const previews = [0, 1, 2, 3].map((preview_index) => ({ ...preview, preview_index }));
      await log.append({ id, attempt: 1 }, numbered(...previews, DONE));
    }
    assert.equal(log.size, 3);
  });
});

describe("RedisRunLog", { skip: WITHOUT_REDIS }, () => {
  let redis: RestRedis;
  before(async () => {
    redis = await startRestRedis();
  });
  after(() => redis[Symbol.asyncDispose]());
  contract(
    () => new RedisRunLog(new RedisLink(redis)),
    (id) => redis.redis.zadd("spectrum:runs", 1, id),
  );

  it("open() once more, as its answer was lost, begins the same run until a worker has it", async () => {
    const log = new RedisRunLog(new RedisLink(redis));
    for (const name of [crypto.randomUUID(), undefined]) {
      const asked = wish({ name });
      const opened = { id: asked.id, started: true, state: "open" };
      assert.deepEqual(await log.open(asked), opened);
      assert.deepEqual(await log.open(asked), opened);
      await log.assign({ id: asked.id, attempt: 1 }, "http://w");
      assert.deepEqual(await log.open(asked), { ...opened, started: false });
      assert.equal((await log.read(asked.id, 0))!.worker, "http://w");
    }
  });

  it("attend() counts the edges that share the store, as long as they are heard of", async () => {
    const log = new RedisRunLog(new RedisLink(redis));
    await redis.redis.del("spectrum:edges");
    assert.equal(await log.attend("a"), 1);
    assert.equal(await log.attend("b"), 2);
    await redis.redis.zadd("spectrum:edges", 1, "a");
    assert.equal(await log.attend("b"), 1);
  });

  it("gives an expiry to every key except the keys of runs under way", async () => {
    const open = await redis.redis.zrange("spectrum:runs", "0", "-1");
    const isPromised = new Set([
      "spectrum:runs",
      ...open.flatMap((id) => [runKey(id), `${runKey(id)}:viewers`]),
    ]);
    for (const key of await redis.redis.keys("spectrum:*")) {
      assert.equal(await redis.redis.pttl(key) > 0, !isPromised.has(key), key);
    }
  });
});

function runKey(id: string): string {
  return `spectrum:run:${id}`;
}
