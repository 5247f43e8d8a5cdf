// Runs that change hands while the store is away or comes back, as edges and their viewers see them.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { MemoryResultStore } from "../../../protocol/store/results/memory_result_store.ts";
import { MemoryRunLog } from "../../../protocol/store/run_log/memory_run_log.ts";
import { LEASE_MS, RENEW_MS } from "../../../protocol/store/run_log/run_log.ts";
import { idsBefore } from "../../../protocol/store/run_log/attempt_ids.ts";
import { ApiError } from "../../../protocol/wire/api_error.ts";
import { StoreAwayError } from "../../../protocol/store/store_away_error.ts";
import type { CompletedEvent, NumberedEvent, RunEvent } from "../../../protocol/wire/run_event.ts";
import type { OpenRunRequest } from "../../../protocol/wire/run_request.ts";
import { RunSource } from "../../../routes/runs/run_source.ts";
import type { PooledWorker, SubmitOptions } from "../../../routes/runs/worker_pool.ts";
import { FakeClock } from "../../protocol/process/fake_clock.ts";
import { until } from "../../until.ts";

const WANTED = {
  name: "k",
  key: undefined,
  run: { model: "m", prompt: "x", seed: 1 },
  modelDigest: "d",
};
const COMPLETED = { type: "completed", receipt: { cache: "miss" } } as unknown as CompletedEvent;

/** Longer than any viewer counts. */
const LONG_OUTAGE_MS = 120_000;

function step(index: number): RunEvent {
  return { type: "step", step_index: index } as RunEvent;
}

function numbered(after: number, events: readonly RunEvent[]): NumberedEvent[] {
  return events.map((event, index) => ({ id: after + 1 + index, event }));
}

/** A log that edges share, which is away when the test says so. */
class SharedLog extends MemoryRunLog {
  override readonly shared = true;
  isAway = false;

  override read = (...args: Parameters<MemoryRunLog["read"]>) => this.#ask(() => super.read(...args));
  override brief = (...args: Parameters<MemoryRunLog["brief"]>) => this.#ask(() => super.brief(...args));
  override watch = (...args: Parameters<MemoryRunLog["watch"]>) => this.#ask(() => super.watch(...args));
  override orphans = () => this.#ask(() => super.orphans());
  override open = (...args: Parameters<MemoryRunLog["open"]>) => this.#ask(() => super.open(...args));
  override advance = (...args: Parameters<MemoryRunLog["advance"]>) =>
    this.#ask(() => super.advance(...args));
  readonly #edges = new Set<string>();

  override attend = (edge: string) => this.#ask(() => Promise.resolve(this.#edges.add(edge).size));

  #ask<T>(answer: () => Promise<T>): Promise<T> {
    return this.isAway ? Promise.reject(new StoreAwayError()) : answer();
  }
}

/** Workers that write the shared log, where the test writes in their place. */
class Workers {
  submitted: OpenRunRequest[] = [];
  cancelled: string[] = [];
  /** What the worker tells an edge that follows it itself. */
  told: NumberedEvent[] = [];
  /** Refuses a run, or loses the answer of the first worker that takes it. */
  before: (request: OpenRunRequest) => void | Promise<void> = () => {};
  /** Whether the answer of the first worker is lost, and another one is asked. */
  isAnswerLost = false;

  async submit(request: OpenRunRequest, { advance }: SubmitOptions) {
    this.submitted.push(request);
    await this.before(request);
    if (this.isAnswerLost) {
      this.isAnswerLost = false;
      const attempt = await advance!();
      if (attempt === undefined) return undefined;
      this.submitted.push({ ...request, shared: { ...request.shared!, attempt } });
    }
    const { id } = request.shared!;
    return { worker: "http://w", accepted: { id, position: 0, shared: request.shared!.log === true } };
  }
  cancel(_worker: string, { id }: { id: string }) {
    this.cancelled.push(id);
    return Promise.resolve();
  }
  client() {
    const told = () => this.told;
    async function* events(_id: string, { after, signal }: { after: number; signal: AbortSignal }) {
      yield* told().filter(({ id }) => id > after);
      // Then it hangs.
      await new Promise((_, reject) =>
        signal.addEventListener("abort", () => reject(signal.reason), { once: true })
      );
    }
    return { events, isMaking: () => Promise.resolve(false) } as unknown as PooledWorker;
  }
}

/** Two edges before a log that they share. */
function startEdges() {
  const clock = new FakeClock();
  const runs = new SharedLog({ now: () => clock.now() });
  const pool = new Workers();
  const stack = new DisposableStack();
  const edge = () =>
    stack.use(
      new RunSource({
        ...{ pool, runs, clock },
        results: new MemoryResultStore(),
        log: () => {},
        reconnectDelaysMs: [0],
      }),
    );
  return { clock, runs, pool, edges: [edge(), edge()] as const, stack };
}

/** The events of a view, as they come. */
function collect(events: AsyncGenerator<NumberedEvent>): { seen: NumberedEvent[]; end: Promise<void> } {
  const seen: NumberedEvent[] = [];
  const end = (async () => {
    for await (const event of events) seen.push(event);
  })();
  return { seen, end };
}

describe("runs that are taken over", () => {
  it("a new attempt repeats no event id that viewers have from the lost worker alone", async () => {
    const { clock, runs, pool, edges, stack } = startEdges();
    using _stack = stack;
    const view = await edges[0].open(WANTED);
    const id = view.id!;
    const first = numbered(0, [{ type: "started" }, step(0), step(1), step(2), step(3)]);
    const reader = collect(view.events(AbortSignal.timeout(30_000)));
    await runs.append({ id, attempt: 1 }, first.slice(0, 1));
    await until(() => reader.seen.length === 1);
    // The store goes away: the edge follows the worker, which writes nothing and dies.
    pool.told = first;
    runs.isAway = true;
    await runs.append({ id, attempt: 1 }, []);
    await until(() => reader.seen.length === first.length);
    clock.advance(LEASE_MS + 1);
    runs.isAway = false;
    clock.advance(RENEW_MS);
    await until(() => pool.submitted.length === 2);
    const { attempt, after } = pool.submitted[1]!.shared!;
    const again: RunEvent[] = [{ type: "started" }, ...[0, 1, 2, 3, 4].map(step), COMPLETED];
    await runs.append({ id, attempt: attempt! }, numbered(after!, again));
    await reader.end;
    const expected = [...first.map(({ event }) => event), { type: "restarted", attempt }, ...again];
    assert.deepEqual(reader.seen.map(({ event }) => event), expected);
    // A client that had come that far, and continues at another edge.
    const other = await edges[1].attach(id);
    const rest = collect(other!.events(AbortSignal.timeout(30_000), first.length));
    await rest.end;
    assert.deepEqual(rest.seen.map(({ event }) => event), expected.slice(first.length));
  });

  it("a viewer hears of the next attempt while the worker that it followed hangs", async () => {
    const { clock, runs, pool, edges, stack } = startEdges();
    using _stack = stack;
    const view = await edges[0].open(WANTED);
    const held = { id: view.id!, attempt: 1 };
    const reader = collect(view.events(AbortSignal.timeout(30_000)));
    pool.told = numbered(0, [{ type: "started" }, step(0)]);
    runs.isAway = true;
    await runs.append(held, []);
    await until(() => reader.seen.length === 2);
    runs.isAway = false;
    clock.advance(LEASE_MS + RENEW_MS);
    await until(() => reader.seen.at(-1)!.event.type === "restarted");
    const { attempt, after } = pool.submitted[1]!.shared!;
    await runs.append({ id: held.id, attempt: attempt! }, numbered(after!, [COMPLETED]));
    await reader.end;
  });

  it("an outage that outlasts its viewers' leases ends no run whose worker died in it", async () => {
    const { clock, runs, pool, edges, stack } = startEdges();
    using _stack = stack;
    const view = await edges[0].open(WANTED);
    const reader = collect(view.events(AbortSignal.timeout(30_000)));
    // The second edge looks first once the store is back, before the first can say that it waits.
    runs.isAway = true;
    clock.advance(LONG_OUTAGE_MS);
    const watch = runs.watch;
    runs.watch = () => Promise.resolve();
    runs.isAway = false;
    clock.advance(5000);
    await until(() => pool.submitted.length === 2);
    runs.watch = watch;
    const { attempt, after } = pool.submitted[1]!.shared!;
    await runs.append({ id: view.id!, attempt: attempt! }, numbered(after!, [COMPLETED]));
    await reader.end;
    assert.equal(reader.seen.at(-1)!.event.type, "completed");
  });

  it("a client that loses patience in an outage finds its run again", async () => {
    const { runs, pool, edges, stack } = startEdges();
    using _stack = stack;
    const view = await edges[0].open(WANTED);
    const held = { id: view.id!, attempt: 1 };
    const reader = collect(view.events(AbortSignal.timeout(30_000)));
    pool.told = numbered(0, [{ type: "started" }]);
    runs.isAway = true;
    await runs.append(held, []);
    await until(() => reader.seen.length === 1);
    runs.isAway = false;
    view.close();
    await new Promise((resolve) => setTimeout(resolve));
    assert.deepEqual(pool.cancelled, []);
    const again = await edges[1].attach(held.id);
    await runs.append(held, numbered(1, [COMPLETED]));
    const rest = collect(again!.events(AbortSignal.timeout(30_000), 1));
    await rest.end;
    assert.equal(rest.seen[0]!.event.type, "completed");
    again!.close();
  });

  it("steps of two attempts have a restart between them where a worker's answer was lost", async () => {
    const { runs, pool, edges, stack } = startEdges();
    using _stack = stack;
    const first = numbered(0, [{ type: "queued", position: 0 }, { type: "started" }, ...[0, 1, 2].map(step)]);
    pool.isAnswerLost = true;
    // The edge is stopped meanwhile, or the worker is: it has begun all the same.
    pool.before = async ({ shared }) => void await runs.append({ id: shared!.id, attempt: 1 }, first);
    const view = await edges[0].open(WANTED);
    const held = { id: view.id!, attempt: 2 };
    const reader = collect(view.events(AbortSignal.timeout(30_000)));
    await until(() => reader.seen.length === first.length);
    const again: RunEvent[] = [{ type: "started" }, ...[0, 1, 2, 3].map(step), COMPLETED];
    await runs.append(held, numbered(idsBefore(2), again));
    await reader.end;
    const restarted = { type: "restarted", attempt: 2 };
    assert.deepEqual(reader.seen.map(({ event }) => event), [
      ...first.map(({ event }) => event),
      restarted,
      ...again,
    ]);
    // Clients that go on at another edge, from each place.
    for (const [index, { id }] of reader.seen.slice(0, -1).entries()) {
      const other = await edges[1].attach(held.id);
      const rest = collect(other!.events(AbortSignal.timeout(30_000), id));
      await rest.end;
      assert.deepEqual(rest.seen, reader.seen.slice(index + 1), `after ${id}`);
      other!.close();
    }
  });

  it("no second worker gets an attempt while the store is away, and the run goes on elsewhere", async () => {
    const { clock, runs, pool, edges, stack } = startEdges();
    using _stack = stack;
    pool.isAnswerLost = true;
    pool.before = () => void (runs.isAway = true);
    const view = await edges[0].open(WANTED);
    pool.before = () => {};
    const [lost, made] = pool.submitted.map(({ shared }) => shared!);
    assert.equal(pool.submitted.length, 2);
    assert.notEqual(made!.id, lost!.id);
    assert.deepEqual([lost!.log, made!.log], [true, false]);
    view.close();
    // Whoever else waits for the first run has it made under another number.
    runs.isAway = false;
    const other = await edges[1].attach(lost!.id);
    const reader = collect(other!.events(AbortSignal.timeout(30_000)));
    clock.advance(LEASE_MS + RENEW_MS);
    const again = await until(() => pool.submitted.find(({ shared }) => shared!.attempt === 2));
    assert.equal(again.shared!.id, lost!.id);
    await runs.append({ id: lost!.id, attempt: 2 }, numbered(again.shared!.after!, [COMPLETED]));
    await reader.end;
    assert.equal(reader.seen.at(-1)!.event.type, "completed");
  });

  it("what must be found elsewhere is refused without the store, unless there is nowhere else", async () => {
    const { clock, runs, pool, edges, stack } = startEdges();
    using _stack = stack;
    const alone = startEdges();
    using _alone = alone.stack;
    const [only, other] = alone.edges;
    other[Symbol.dispose]();
    await until(() => {
      for (const time of [clock, alone.clock]) time.advance(RENEW_MS);
      return edges.every(({ hasPeers }) => hasPeers);
    });
    runs.isAway = alone.runs.isAway = true;
    const stream = { waitMs: 1 };
    await assert.rejects(edges[0].open(WANTED, stream), { status: 503, code: "store_unavailable" });
    // A picture that is made for a plain request is no stream's.
    const plain = await edges[0].open(WANTED);
    await assert.rejects(edges[0].open(WANTED, stream), { status: 503 });
    assert.equal(pool.submitted.length, 1);
    plain.close();
    assert.equal((await only.open(WANTED, stream)).cache, "miss");
  });

  it("a run that finds no room is offered until it does, and told of once", async () => {
    const { clock, runs, pool, edges, stack } = startEdges();
    using _stack = stack;
    const view = await edges[0].open(WANTED);
    const reader = collect(view.events(AbortSignal.timeout(30_000)));
    await runs.append({ id: view.id!, attempt: 1 }, numbered(0, [{ type: "started" }, step(0)]));
    await runs.release({ id: view.id!, attempt: 1 });
    pool.before = () => {
      throw new ApiError(429, "full", { code: "queue_full" });
    };
    // More often than a run is taken over that fails.
    for (let tries = 2; tries < 20; tries++) {
      await until(() => {
        clock.advance(RENEW_MS);
        return pool.submitted.length >= tries;
      });
    }
    pool.before = () => {};
    const offered = pool.submitted.length;
    await until(() => {
      clock.advance(RENEW_MS);
      return pool.submitted.length > offered;
    });
    const { attempt, after } = pool.submitted.at(-1)!.shared!;
    await until(async () =>
      await runs.append({ id: view.id!, attempt: attempt! }, numbered(after!, [COMPLETED])) === "held"
    );
    await reader.end;
    assert.deepEqual(reader.seen.map(({ event }) => event.type), [
      ...["started", "step", "restarted", "completed"],
    ]);
  });

  it("an edge that is to end leaves orphans to the others", async () => {
    const { clock, runs, pool, edges, stack } = startEdges();
    using _stack = stack;
    const view = await edges[0].open(WANTED);
    const stopping = new AbortController();
    // It looks 1.1 s after the lease has ended, the others 1.5 s after.
    clock.advance(1100);
    using _ending = new RunSource({
      ...{ pool, runs, clock, stopping: stopping.signal },
      results: new MemoryResultStore(),
      log: () => {},
    });
    stopping.abort();
    clock.advance(LEASE_MS);
    await new Promise((resolve) => setTimeout(resolve));
    clock.advance(RENEW_MS);
    await until(() => pool.submitted.length === 2);
    assert.equal(pool.submitted[1]!.shared!.attempt, 2);
    view.close();
  });
});
