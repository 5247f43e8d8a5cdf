import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { ApiError } from "../../../protocol/wire/api_error.ts";
import { MemoryResultStore } from "../../../protocol/store/results/memory_result_store.ts";
import type { CompletedEvent, NumberedEvent, RunEvent } from "../../../protocol/wire/run_event.ts";
import type { OpenRunRequest } from "../../../protocol/wire/run_request.ts";
import { RunSource, type RunSourceOptions } from "../../../routes/runs/run_source.ts";
import type { RunView } from "../../../routes/runs/run_view.ts";
import type { PooledWorker } from "../../../routes/runs/worker_pool.ts";
import { until } from "../../until.ts";

const RUN = { model: "m", prompt: "x", seed: 1 };
const WANTED = { name: "k", key: "k", run: RUN, modelDigest: "d" };
const COMPLETED = {
  type: "completed",
  b64_json: "AAAA",
  content_type: "image/png",
  image_tokens: 4,
  receipt: { model_digest: "d", cache: "miss" },
} as unknown as CompletedEvent;
const EVENTS: RunEvent[] = [{ type: "queued", position: 0 }, { type: "started" }, COMPLETED];

/** Workers as the edge sees them, whose event streams the test writes. */
class ScriptedPool {
  submitted: OpenRunRequest[] = [];
  cancelled: string[] = [];
  /** Called for each connection. */
  stream: (after: number, signal: AbortSignal) => AsyncGenerator<NumberedEvent> = replay;

  submit(request: OpenRunRequest) {
    this.submitted.push(request);
    const { id } = request.shared!;
    return Promise.resolve({ worker: "http://w", accepted: { id, position: 0, shared: false } });
  }
  cancel(_worker: string, { id }: { id: string }) {
    this.cancelled.push(id);
    return Promise.resolve();
  }
  client() {
    const events = (_id: string, { after, signal }: { after: number; signal: AbortSignal }) =>
      this.stream(after, signal);
    return { events } as unknown as PooledWorker;
  }
}

async function* replay(after: number): AsyncGenerator<NumberedEvent> {
  for (let id = after + 1; id <= EVENTS.length; id++) {
    yield await Promise.resolve({ id, event: EVENTS[id - 1]! });
  }
}

/** Never says more than that it has begun. */
async function* begun(_after: number, signal: AbortSignal): AsyncGenerator<NumberedEvent> {
  yield { id: 1, event: { type: "started" } };
  await new Promise((resolve) => signal.addEventListener("abort", resolve));
}

function sourceOver(pool: ScriptedPool, options: Partial<RunSourceOptions> = {}) {
  const results = new MemoryResultStore();
  return new RunSource({
    pool,
    results,
    log: () => {},
    reconnectDelaysMs: [0, 0],
    maxAttempts: 1,
    ...options,
  });
}

async function read(view: RunView): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const { event } of view.events(new AbortController().signal)) events.push(event);
  view.close();
  return events;
}

describe("RunSource", () => {
  it("open() joins a run under way only if it shows as many previews as asked for", async () => {
    const pool = new ScriptedPool();
    pool.stream = begun;
    using source = sourceOver(pool);
    const withPreviews = (previews: number) => ({ ...WANTED, run: { ...RUN, previews } });
    const views: RunView[] = [];
    for (const previews of [0, 3, 2]) views.push(await source.open(withPreviews(previews)));
    assert.deepEqual(views.map(({ cache }) => cache), ["miss", "miss", "joined"]);
    assert.equal(pool.submitted.length, 2);
    for (const view of views) view.close();
    await until(() => pool.cancelled.length === 2);
    assert.deepEqual(new Set(pool.cancelled), new Set(pool.submitted.map(({ shared }) => shared!.id)));
  });

  it("open() makes a result once and finds it the next time, unless that is too old", async () => {
    const pool = new ScriptedPool();
    using source = sourceOver(pool);
    const first = await source.open(WANTED);
    assert.equal(first.cache, "miss");
    assert.deepEqual(await read(first), EVENTS);
    const second = await source.open(WANTED);
    assert.equal(second.cache, "hit");
    const [hit] = await read(second);
    assert.ok(
      hit?.type === "completed" && hit.receipt.cache === "hit" && hit.b64_json === COMPLETED.b64_json,
    );
    assert.equal(pool.submitted.length, 1);
    assert.deepEqual(pool.cancelled, []);
    assert.equal((await source.open(WANTED, { maxAgeMs: 60_000 })).cache, "hit");
    assert.equal((await source.open(WANTED, { maxAgeMs: 0 })).cache, "miss");
  });

  it("open() joins the run that is on its way", async () => {
    const pool = new ScriptedPool();
    using source = sourceOver(pool);
    const [first, second] = await Promise.all([source.open(WANTED), source.open(WANTED)]);
    assert.deepEqual([first.cache, second.cache], ["miss", "joined"]);
    const [mine, theirs] = await Promise.all([read(first), read(second)]);
    assert.deepEqual(mine, EVENTS);
    // Its receipt says how this viewer came by it.
    const receipt = { ...COMPLETED.receipt, cache: "joined" };
    assert.deepEqual(theirs, [...EVENTS.slice(0, -1), { ...COMPLETED, receipt }]);
    assert.equal(pool.submitted.length, 1);
  });

  it("open() shares nothing that has no name", async () => {
    const pool = new ScriptedPool();
    using source = sourceOver(pool);
    const unshared = { ...WANTED, name: undefined, key: undefined };
    for (let i = 0; i < 2; i++) await read(await source.open(unshared));
    assert.equal(pool.submitted.length, 2);
  });

  it("close() cancels the run when the last viewer leaves; the next viewer starts a new run", async () => {
    const pool = new ScriptedPool();
    pool.stream = begun;
    using source = sourceOver(pool);
    const [first, second] = await Promise.all([source.open(WANTED), source.open(WANTED)]);
    first.close();
    first.close();
    await Promise.resolve();
    assert.deepEqual(pool.cancelled, []);
    second.close();
    await until(() => pool.cancelled.length === 1);
    assert.equal((await source.open(WANTED)).cache, "miss");
  });

  it("close() with grace keeps the run for who comes in time", async () => {
    const pool = new ScriptedPool();
    pool.stream = begun;
    using source = sourceOver(pool);
    (await source.open(WANTED)).close(20);
    const again = await source.open(WANTED);
    assert.equal(again.cache, "joined");
    again.close(1);
    await until(() => pool.cancelled.length === 1);
  });

  it("a detached run goes on without connections, until its own viewer leaves", async () => {
    const pool = new ScriptedPool();
    pool.stream = begun;
    using source = sourceOver(pool);
    const view = await source.open(WANTED, { detached: { viewer: "job", viewerMs: 60_000 } });
    view.close();
    const again = await source.attach(view.id!);
    again!.close();
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual(pool.cancelled, []);
    await source.leave(view.id!, "job");
    assert.deepEqual(pool.cancelled, [view.id]);
  });

  it("events() picks a broken stream up where it broke off", async () => {
    const pool = new ScriptedPool();
    const seen: number[] = [];
    pool.stream = async function* (after) {
      seen.push(after);
      yield* (async function* () {
        for await (const event of replay(after)) {
          yield event;
          if (seen.length === 1) throw new ApiError(503, "reset");
          // The second connection ends without a word.
          if (seen.length === 2) return;
        }
      })();
    };
    using source = sourceOver(pool, { reconnectDelaysMs: [0] });
    assert.deepEqual(await read(await source.open(WANTED)), EVENTS);
    assert.deepEqual(seen, [0, 1, 2]);
  });

  it("events() says that a run goes on elsewhere, up to three times; a fourth loss is the end", async () => {
    const pool = new ScriptedPool();
    const step = { type: "step", step_index: 0 } as RunEvent;
    pool.stream = async function* (after) {
      const { attempt } = pool.submitted.at(-1)!.shared!;
      if (after < 2 * attempt) yield { id: after + 1, event: step };
      await Promise.resolve();
      throw new ApiError(404, "I have just started");
    };
    using source = sourceOver(pool, { maxAttempts: 8 });
    const events = await read(await source.open(WANTED));
    const again = ["restarted", "step"];
    assert.deepEqual(events.map(({ type }) => type), ["step", ...again, ...again, ...again, "failed"]);
    const submitted = pool.submitted.map(({ shared }) => [shared!.attempt, shared!.after]);
    assert.deepEqual(submitted, [[1, 0], [2, 2], [3, 4], [4, 6]]);
  });

  it("events() gives a run that goes on elsewhere its image, mask and references again", async () => {
    for (const files of [{ image: "aW1hZ2U=", mask: "bWFzaw==" }, { references: ["YQ==", "Yg=="] }]) {
      const pool = new ScriptedPool();
      const sent: object[] = [];
      pool.stream = async function* (after) {
        sent.push(pool.submitted.at(-1)!);
        if (sent.length > 1) return yield* replay(after);
        throw new ApiError(404, "I have just started");
      };
      using source = sourceOver(pool, { maxAttempts: 8 });
      const run: OpenRunRequest = { ...RUN, ...files };
      const view = await source.open({ ...WANTED, run, imageName: "digests" });
      // The edge lets go of the files once they are on their way.
      for (const name of Object.keys(files) as (keyof OpenRunRequest)[]) delete run[name];
      assert.equal((await read(view)).at(-1)!.type, "completed");
      assert.equal(sent.length, 2);
      const { shared: _, ...again } = sent[1] as OpenRunRequest;
      assert.deepEqual(again, { ...RUN, ...files });
    }
  });

  it("events() does not store a result of other weights", async () => {
    const pool = new ScriptedPool();
    using source = sourceOver(pool);
    const wanted = { ...WANTED, modelDigest: "other" };
    await read(await source.open(wanted));
    assert.equal(await source.stored("k"), undefined);
  });

  it("open() passes a refusal on and keeps nothing of it", async () => {
    const pool = new ScriptedPool();
    const refusal = new ApiError(429, "full");
    const submit = pool.submit.bind(pool);
    pool.submit = () => Promise.reject(refusal);
    using source = sourceOver(pool);
    await assert.rejects(source.open(WANTED), refusal);
    pool.submit = submit;
    assert.equal((await source.open(WANTED)).cache, "miss");
    assert.deepEqual(pool.cancelled, []);
  });
});
