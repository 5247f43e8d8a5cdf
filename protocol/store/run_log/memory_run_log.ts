// Runs in this process: for one edge without a store, and for its time without one.
import { heapShare } from "../../process/heap_share.ts";
import { LRUCache } from "lru-cache";
import { EventLog } from "../event_log.ts";
import { type NumberedEvent, type RunEvent, toBrief } from "../../wire/run_event.ts";
import {
  finalState,
  type HeldRun,
  isStep,
  LEASE_MS,
  MAX_IMAGES,
  type OpenedRun,
  type OpenRun,
  type OrderImage,
  type RunBrief,
  type RunLog,
  type RunPage,
  type RunState,
  type Standing,
  type TakenRun,
  type TakeOverOptions,
} from "./run_log.ts";

interface Entry {
  name: string | undefined;
  state: RunState;
  attempt: number;
  previews: number;
  keepMs: number;
  worker: string | undefined;
  stepped: boolean;
  restarts: number;
  takeovers: number;
  cancelled: boolean;
  request: string;
  image: string | undefined;
  leaseEnds: number;
  /** Whether its lease is the wait for room. */
  postponed: boolean;
  log: EventLog<RunEvent>;
  /** Viewer -> until when it counts. */
  viewers: Map<string, number>;
}

export interface MemoryRunLogOptions {
  /** Milliseconds from any origin. @default performance.now */
  now?: () => number;
  /**
   * Bytes of finished runs, previews included, counted as base64 text. Beyond it the
   * oldest are dropped early.
   * @default 128 MiB, or an eighth of the heap
   */
  maxBytes?: number;
}

/** Rough bytes of a run's other events, beside its pictures. */
const OVERHEAD_BYTES = 64 * 1024;
const TOO_LARGE_MS = 60_000;
/** End of a lease that its holder gave up. */
const RELEASED = -Infinity;

export class MemoryRunLog implements RunLog {
  readonly shared: boolean = false;
  /** Every change is announced; this is for leases. */
  readonly pollMs = 1000;
  readonly #now: () => number;
  readonly #runs = new Map<string, Entry>();
  readonly #names = new Map<string, string>();
  /** Images of unfinished runs, by name: the bytes, and the number of runs that keep them. */
  readonly #images = new Map<string, { base64: string; runs: number }>();
  readonly #listeners = new Set<(id: string) => void>();
  /** Finished runs by size; videos may be large. */
  readonly #finished: LRUCache<string, number>;

  constructor(
    { now = () => performance.now(), maxBytes = heapShare(128 * 2 ** 20) }: MemoryRunLogOptions = {},
  ) {
    this.#now = now;
    this.#finished = new LRUCache({
      maxSize: maxBytes,
      sizeCalculation: (bytes) => bytes,
      dispose: (_, id) => this.#forget(id),
    });
  }

  /** Runs that can be read. */
  get size(): number {
    return this.#runs.size;
  }

  open(run: OpenRun): Promise<OpenedRun> {
    const { id, name, previews, keepMs } = run;
    const known = name === undefined ? undefined : this.#names.get(name);
    const entry = known === undefined ? undefined : this.#runs.get(known);
    if (entry !== undefined && entry.previews >= previews) {
      const wanted = entry.state === "open"
        ? !entry.cancelled
        : entry.state === "completed" && run.finishedToo;
      if (wanted) {
        this.#see(entry, run);
        entry.keepMs = Math.max(entry.keepMs, keepMs);
        return Promise.resolve({ id: known!, started: false, state: entry.state });
      }
    }
    const isKept = run.image === undefined || this.#keepImage(run.image);
    const begun: Entry = {
      name,
      state: "open",
      attempt: 1,
      previews,
      keepMs,
      worker: undefined,
      stepped: false,
      restarts: 0,
      takeovers: 0,
      cancelled: false,
      request: isKept ? run.request : "",
      image: isKept ? run.image?.name : undefined,
      leaseEnds: this.#now() + LEASE_MS,
      postponed: false,
      log: new EventLog(),
      viewers: new Map(),
    };
    this.#see(begun, run);
    this.#runs.set(id, begun);
    if (name !== undefined) this.#names.set(name, id);
    return Promise.resolve({ id, started: true, state: "open" });
  }

  attach(id: string, viewer: { viewer: string; viewerMs: number }): Promise<RunState | undefined> {
    const entry = this.#runs.get(id);
    if (entry?.state === "open" && entry.cancelled) return Promise.resolve("cancelled");
    if (entry?.state === "open") this.#see(entry, viewer);
    return Promise.resolve(entry?.state);
  }

  read(id: string, after: number): Promise<RunPage | undefined> {
    const entry = this.#runs.get(id);
    return Promise.resolve(entry && toPage(entry, entry.log.since(after)));
  }

  brief(id: string): Promise<RunBrief | undefined> {
    const entry = this.#runs.get(id);
    if (entry === undefined) return Promise.resolve(undefined);
    const { state, worker, log } = entry;
    const newest = log.since(log.lastId - 1).at(-1);
    return Promise.resolve({
      state,
      worker,
      last: newest && { id: newest.id, event: toBrief(newest.event) },
    });
  }

  last(id: string): Promise<RunPage | undefined> {
    const entry = this.#runs.get(id);
    return Promise.resolve(entry && toPage(entry, entry.log.since(entry.log.lastId - 1)));
  }

  append(run: HeldRun, events: readonly NumberedEvent[]): Promise<Standing["state"]> {
    const entry = this.#held(run);
    if (entry === undefined) return Promise.resolve(this.#absent(run.id));
    for (const { id, event } of events) {
      entry.log.append(event, id);
      entry.stepped ||= isStep(event);
      const state = finalState(event);
      if (state !== undefined) this.#finish(run.id, { entry, state });
    }
    this.#announce(run.id);
    return Promise.resolve(entry.cancelled ? "cancelled" : "held");
  }

  advance(run: HeldRun): Promise<number | undefined> {
    const entry = this.#held(run);
    if (entry === undefined || entry.cancelled) return Promise.resolve(undefined);
    entry.leaseEnds = this.#now() + LEASE_MS;
    return Promise.resolve(++entry.attempt);
  }

  assign(run: HeldRun, worker: string): Promise<Standing["state"]> {
    const entry = this.#held(run);
    if (entry !== undefined) entry.worker = worker;
    if (entry === undefined) return Promise.resolve(this.#absent(run.id));
    return Promise.resolve(entry.cancelled ? "cancelled" : "held");
  }

  renew(runs: readonly HeldRun[]): Promise<Standing[]> {
    return Promise.resolve(runs.map((run) => {
      const entry = this.#held(run);
      if (entry === undefined) return { state: this.#absent(run.id), viewers: 0 };
      entry.leaseEnds = this.#now() + LEASE_MS;
      return { state: entry.cancelled ? "cancelled" : "held", viewers: this.#viewers(entry) };
    }));
  }

  release(run: HeldRun): Promise<void> {
    const entry = this.#held(run);
    if (entry !== undefined) entry.leaseEnds = RELEASED;
    this.#announce(run.id);
    return Promise.resolve();
  }

  postpone(run: HeldRun, ms: number): Promise<void> {
    const entry = this.#held(run);
    if (entry === undefined) return Promise.resolve();
    entry.leaseEnds = this.#now() + ms;
    entry.postponed = true;
    entry.takeovers--;
    return Promise.resolve();
  }

  attend(_edge: string): Promise<number> {
    return Promise.resolve(1);
  }

  orphans(): Promise<string[]> {
    const now = this.#now();
    return Promise.resolve(
      [...this.#runs].flatMap(([id, { state, leaseEnds }]) =>
        state === "open" && leaseEnds < now ? [id] : []
      ),
    );
  }

  takeOver(id: string, { unwatched = false }: TakeOverOptions = {}): Promise<TakenRun | undefined> {
    const entry = this.#runs.get(id);
    if (entry?.state !== "open" || entry.leaseEnds >= this.#now()) return Promise.resolve(undefined);
    if (entry.cancelled || !unwatched && this.#viewers(entry) === 0) {
      this.#finish(id, { entry, state: "cancelled" });
      return Promise.resolve(undefined);
    }
    const { stepped, restarts, worker, request, log } = entry;
    const image = entry.image && this.#images.get(entry.image)?.base64;
    const abandoned = entry.leaseEnds !== RELEASED && !entry.postponed;
    entry.postponed = false;
    entry.attempt++;
    entry.takeovers++;
    if (stepped) entry.restarts++;
    entry.stepped = false;
    entry.worker = undefined;
    entry.leaseEnds = this.#now() + LEASE_MS;
    const { attempt, takeovers } = entry;
    return Promise.resolve({
      id,
      attempt,
      lastId: log.lastId,
      stepped,
      abandoned,
      restarts,
      takeovers,
      worker,
      request,
      image,
    });
  }

  watch(viewers: readonly { id: string; viewer: string }[], viewerMs: number): Promise<void> {
    for (const { id, viewer } of viewers) {
      const entry = this.#runs.get(id);
      if (entry?.state === "open") this.#see(entry, { viewer, viewerMs });
    }
    return Promise.resolve();
  }

  leave(id: string, viewer: string): Promise<boolean> {
    const entry = this.#runs.get(id);
    entry?.viewers.delete(viewer);
    if (entry?.state !== "open" || this.#viewers(entry) > 0) return Promise.resolve(false);
    entry.cancelled = true;
    this.#forgetName(id, entry);
    return Promise.resolve(true);
  }

  changes(listener: (id: string) => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }

  #held({ id, attempt }: HeldRun): Entry | undefined {
    const entry = this.#runs.get(id);
    return entry?.state === "open" && entry.attempt === attempt ? entry : undefined;
  }

  #absent(id: string): "lost" | "unknown" {
    return this.#runs.has(id) ? "lost" : "unknown";
  }

  #finish(id: string, { entry, state }: { entry: Entry; state: RunState }): void {
    entry.state = state;
    entry.viewers.clear();
    entry.request = "";
    this.#dropImage(entry);
    if (state !== "completed") this.#forgetName(id, entry);
    this.#finished.set(id, sizeOf(entry));
    const isKept = this.#finished.has(id);
    // One that is larger than all may be together: those who wait for it get it.
    const forget = () => isKept ? this.#finished.delete(id) : this.#forget(id);
    Deno.unrefTimer(setTimeout(forget, isKept ? entry.keepMs : Math.min(entry.keepMs, TOO_LARGE_MS)));
  }

  /** @returns whether there is room */
  #keepImage({ name, base64 }: OrderImage): boolean {
    const known = this.#images.get(name);
    const kept = [...this.#images.values()].reduce((sum, { base64 }) => sum + base64.length, 0);
    if (known === undefined && kept + base64.length > MAX_IMAGES) return false;
    this.#images.set(name, { base64: known?.base64 ?? base64, runs: (known?.runs ?? 0) + 1 });
    return true;
  }

  #dropImage(entry: Entry): void {
    const { image: name } = entry;
    const known = name === undefined ? undefined : this.#images.get(name);
    entry.image = undefined;
    if (known !== undefined && --known.runs === 0) this.#images.delete(name!);
  }

  #forget(id: string): void {
    const entry = this.#runs.get(id);
    if (entry !== undefined) this.#forgetName(id, entry);
    this.#runs.delete(id);
  }

  #forgetName(id: string, { name }: Entry): void {
    if (name !== undefined && this.#names.get(name) === id) this.#names.delete(name);
  }

  #see(entry: Entry, { viewer, viewerMs }: { viewer: string; viewerMs: number }): void {
    entry.viewers.set(viewer, this.#now() + viewerMs);
  }

  #viewers(entry: Entry): number {
    const now = this.#now();
    for (const [viewer, until] of entry.viewers) if (until < now) entry.viewers.delete(viewer);
    return entry.viewers.size;
  }

  #announce(id: string): void {
    for (const listener of this.#listeners) listener(id);
  }
}

/** Returns the rough bytes of a run: its pictures, previews included, and the rest. */
function sizeOf({ log }: Entry): number {
  return log.since(0).reduce((sum, { event }) => {
    const { thumbnail = "", spritesheet = "" } = (event.type === "completed" ? event.stills : undefined) ??
      {};
    const bytes = "b64_json" in event ? event.b64_json.length : 0;
    return sum + bytes + thumbnail.length + spritesheet.length;
  }, OVERHEAD_BYTES);
}

function toPage({ state, worker }: Entry, events: NumberedEvent[]): RunPage {
  return { state, worker, events };
}
