import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { ApiError } from "../../protocol/api_error.ts";
import type { CompletedEvent, NumberedEvent, RunEvent } from "../../protocol/run_event.ts";
import { MemoryResultStore } from "../../routes/results/memory_result_store.ts";
import { type Picture, PictureSource, type PictureSourceOptions } from "../../routes/runs/picture_source.ts";

const RUN = { model: "m", prompt: "x", seed: 1 };
const WANTED = { key: "k", run: RUN, modelDigest: "d" };
const COMPLETED = {
  type: "completed",
  b64_json: "AAAA",
  image_tokens: 4,
  receipt: { model_digest: "d", cache: "miss" },
} as unknown as CompletedEvent;
const EVENTS: RunEvent[] = [{ type: "queued", position: 0 }, { type: "started" }, COMPLETED];

/** A worker as the edge sees it, whose event streams the test writes. */
class ScriptedWorker {
  submitted = 0;
  cancelled: string[] = [];
  /** Called for each connection. */
  stream: (after: number, signal: AbortSignal) => AsyncGenerator<NumberedEvent> = replay;

  submit() {
    return Promise.resolve({ id: `run ${++this.submitted}`, position: 0 });
  }
  cancel(id: string) {
    this.cancelled.push(id);
    return Promise.resolve();
  }
  events(_id: string, { after, signal }: { after: number; signal: AbortSignal }) {
    return this.stream(after, signal);
  }
}

async function* replay(after: number): AsyncGenerator<NumberedEvent> {
  for (let id = after + 1; id <= EVENTS.length; id++) {
    yield await Promise.resolve({ id, event: EVENTS[id - 1]! });
  }
}

function sourceOver(worker: ScriptedWorker, options: Partial<PictureSourceOptions> = {}) {
  const results = new MemoryResultStore();
  return new PictureSource({ worker, results, log: () => {}, reconnectDelaysMs: [0, 0], ...options });
}

async function read(picture: Picture): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const { event } of picture.events(new AbortController().signal)) events.push(event);
  picture.close();
  return events;
}

describe("PictureSource", () => {
  it("open() joins a run under way only if it shows as many previews as asked for", async () => {
    const worker = new ScriptedWorker();
    const source = sourceOver(worker);
    const withPreviews = (previews: number) => ({ ...WANTED, run: { ...RUN, previews } });
    const pictures: Picture[] = [];
    for (const previews of [0, 3, 2]) pictures.push(await source.open(withPreviews(previews)));
    assert.deepEqual(pictures.map(({ cache }) => cache), ["miss", "miss", "joined"]);
    assert.equal(worker.submitted, 2);
    for (const picture of pictures) picture.close();
    await Promise.resolve();
    assert.deepEqual(new Set(worker.cancelled), new Set(["run 1", "run 2"]));
  });

  it("open() makes a picture once and finds it the next time", async () => {
    const worker = new ScriptedWorker();
    const source = sourceOver(worker);
    const first = await source.open(WANTED);
    assert.equal(first.cache, "miss");
    assert.deepEqual(await read(first), EVENTS);
    const second = await source.open(WANTED);
    assert.equal(second.cache, "hit");
    const [hit] = await read(second);
    assert.ok(
      hit?.type === "completed" && hit.receipt.cache === "hit" && hit.b64_json === COMPLETED.b64_json,
    );
    assert.equal(worker.submitted, 1);
    assert.deepEqual(worker.cancelled, []);
  });

  it("open() joins the run that is on its way", async () => {
    const worker = new ScriptedWorker();
    const source = sourceOver(worker);
    const [first, second] = await Promise.all([source.open(WANTED), source.open(WANTED)]);
    assert.deepEqual([first.cache, second.cache], ["miss", "joined"]);
    assert.deepEqual(await Promise.all([read(first), read(second)]), [EVENTS, EVENTS]);
    assert.equal(worker.submitted, 1);
  });

  it("open() shares nothing that has no key", async () => {
    const worker = new ScriptedWorker();
    const source = sourceOver(worker);
    const unshared = { ...WANTED, key: undefined };
    for (let i = 0; i < 2; i++) await read(await source.open(unshared));
    assert.equal(worker.submitted, 2);
  });

  it("close() cancels the run when the last viewer leaves, and whoever comes then starts anew", async () => {
    const worker = new ScriptedWorker();
    const source = sourceOver(worker);
    const [first, second] = await Promise.all([source.open(WANTED), source.open(WANTED)]);
    first.close();
    first.close();
    await Promise.resolve();
    assert.deepEqual(worker.cancelled, []);
    second.close();
    await Promise.resolve();
    assert.deepEqual(worker.cancelled, ["run 1"]);
    assert.equal((await source.open(WANTED)).cache, "miss");
  });

  it("events() picks a broken stream up where it broke off", async () => {
    const worker = new ScriptedWorker();
    const seen: number[] = [];
    worker.stream = async function* (after) {
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
    const source = sourceOver(worker, { reconnectDelaysMs: [0] });
    assert.deepEqual(await read(await source.open(WANTED)), EVENTS);
    assert.deepEqual(seen, [0, 1, 2]);
  });

  it("events() gives up on a worker that stays away", async () => {
    const worker = new ScriptedWorker();
    let connections = 0;
    // deno-lint-ignore require-yield
    worker.stream = async function* () {
      connections++;
      await Promise.resolve();
      throw new ApiError(503, "away");
    };
    const picture = await sourceOver(worker).open(WANTED);
    await assert.rejects(read(picture), (error) => error instanceof ApiError && error.code === "worker_lost");
    assert.equal(connections, 3);
  });

  it("events() does not store what other weights have made", async () => {
    const worker = new ScriptedWorker();
    const source = sourceOver(worker);
    await read(await source.open({ ...WANTED, modelDigest: "other" }));
    assert.equal((await source.open({ ...WANTED, modelDigest: "other" })).cache, "miss");
  });

  it("open() passes a refusal on and keeps nothing of it", async () => {
    const worker = new ScriptedWorker();
    const refusal = new ApiError(429, "full");
    const submit = worker.submit.bind(worker);
    worker.submit = () => Promise.reject(refusal);
    const source = sourceOver(worker);
    await assert.rejects(source.open(WANTED), refusal);
    worker.submit = submit;
    assert.equal((await source.open(WANTED)).cache, "miss");
    assert.deepEqual(worker.cancelled, []);
  });
});
