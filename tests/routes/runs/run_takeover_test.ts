// Runs that change hands while the store is away or comes back, as edges and their viewers see them.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { MemoryResultStore } from "../../../protocol/store/results/memory_result_store.ts";
import { MemoryRunLog } from "../../../protocol/store/run_log/memory_run_log.ts";
import { LEASE_MS, RENEW_MS } from "../../../protocol/store/run_log/run_log.ts";
import { StoreAwayError } from "../../../protocol/store/store_away_error.ts";
import type { CompletedEvent, NumberedEvent, RunEvent } from "../../../protocol/wire/run_event.ts";
import type { OpenRunRequest } from "../../../protocol/wire/run_request.ts";
import { RunSource } from "../../../routes/runs/run_source.ts";
import type { PooledWorker } from "../../../routes/runs/worker_pool.ts";
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

  submit(request: OpenRunRequest) {
    this.submitted.push(request);
    const { id } = request.shared!;
    return Promise.resolve({ worker: "http://w", accepted: { id, position: 0, shared: true } });
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
      await new Promise((_, reject) => signal.addEventListener("abort", reject, { once: true }));
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
