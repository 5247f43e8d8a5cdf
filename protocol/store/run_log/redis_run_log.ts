// Runs in Redis over REST (Upstash, or the adapter in deploy/): shared by all edges, and written by workers.
import { Turns } from "../../process/turns.ts";
import { RedisChannel } from "../redis_channel.ts";
import type { RedisLink } from "../redis_link.ts";
import { type NumberedEvent, toBrief } from "../../wire/run_event.ts";
import * as scripts from "./redis_run_scripts.ts";
import {
  ATTENDANCE_MS,
  finalState,
  FORGET_MS,
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

/** A command that is longer travels in a request of its own: with others it would pass the limit of 10 MB. */
const MAX_SHARED_CHARACTERS = 64 * 1024;
/** Largest piece of an event's JSON in one entry, so that results of any size pass a request's limit. */
const PIECE = 2_000_000;
/** Largest total of the entries in one request. An answer takes no more entries beyond it. */
const PAGE = 4_000_000;
/** Interval at which readers look by themselves while changes are announced. */
const ANNOUNCED_POLL_MS = 2000;
const SILENT_POLL_MS = 150;
/** Between an image and the run that starts from it. */
const IMAGE_MS = 60_000;

export class RedisRunLog implements RunLog {
  readonly shared = true;
  readonly #link: RedisLink;
  readonly #listeners = new Set<(id: string) => void>();
  readonly #uploads = new Turns(2);
  readonly #keeping = new Map<string, Promise<boolean>>();
  #channel: RedisChannel | undefined;
  #returns: Disposable | undefined;

  constructor(link: RedisLink) {
    this.#link = link;
  }

  get pollMs(): number {
    return this.#channel?.live ? ANNOUNCED_POLL_MS : SILENT_POLL_MS;
  }

  async open(run: OpenRun): Promise<OpenedRun> {
    const { id, name = "", viewer, viewerMs, previews, finishedToo, keepMs } = run;
    const isKept = run.image === undefined || await this.#keepImage(run.image);
    const [request, image] = [isKept ? run.request : "", isKept ? run.image?.name ?? "" : ""];
    const flags = [viewer, viewerMs, previews, finishedToo ? 1 : 0, keepMs, request, LEASE_MS, FORGET_MS];
    const values = [id, name, ...flags, image];
    const [started, opened, state] = await this.#run(scripts.OPEN, values, run.waitMs) as [
      number,
      string,
      RunState,
    ];
    return { id: opened, started: Number(started) === 1, state };
  }

  async attach(
    id: string,
    { viewer, viewerMs }: { viewer: string; viewerMs: number },
  ): Promise<RunState | undefined> {
    const state = await this.#run(scripts.ATTACH, [id, viewer, viewerMs]) as RunState | "";
    return state === "" ? undefined : state;
  }

  async read(id: string, after: number): Promise<RunPage | undefined> {
    return await this.#read(id, `${after + 1}-0`);
  }

  async brief(id: string): Promise<RunBrief | undefined> {
    const reply = await this.#run(scripts.BRIEF, [id]) as string[];
    if (reply.length === 0) return undefined;
    const [state, worker, brief] = reply as [RunState, string, string];
    if (brief === "" && state !== "open") {
      // Ended without an event, or written by a worker that writes no briefs yet.
      const newest = (await this.last(id))?.events.at(-1);
      const last = newest && { id: newest.id, event: toBrief(newest.event) };
      return { state, worker: worker || undefined, last };
    }
    const space = brief.indexOf(" ");
    const last = brief === "" ? undefined : {
      id: Number(brief.slice(0, space)),
      event: JSON.parse(brief.slice(space + 1)),
    };
    return { state, worker: worker || undefined, last };
  }

  async last(id: string): Promise<RunPage | undefined> {
    const newest = await this.#run(scripts.LAST, [id]) as string;
    return await this.#read(id, `${newest.split("-")[0]}-0`);
  }

  async append(run: HeldRun, events: readonly NumberedEvent[]): Promise<Standing["state"]> {
    let standing: Standing["state"] = "held";
    for (const batch of toBatches(events)) {
      const { final = "", stepped, brief, entries } = batch;
      const head = [run.id, run.attempt, final, stepped ? 1 : 0, FORGET_MS, brief];
      standing = await this.#run(scripts.APPEND, [...head, ...entries.flat()]) as Standing["state"];
      if (standing === "lost" || standing === "unknown") break;
    }
    return standing;
  }

  async advance({ id, attempt }: HeldRun): Promise<number | undefined> {
    return Number(await this.#run(scripts.ADVANCE, [id, attempt, LEASE_MS])) || undefined;
  }

  async assign({ id, attempt }: HeldRun, worker: string): Promise<Standing["state"]> {
    return await this.#run(scripts.ASSIGN, [id, attempt, worker]) as Standing["state"];
  }

  async renew(runs: readonly HeldRun[]): Promise<Standing[]> {
    if (runs.length === 0) return [];
    const pairs = runs.flatMap(({ id, attempt }) => [id, attempt]);
    const replies = await this.#run(scripts.RENEW, [LEASE_MS, FORGET_MS, ...pairs]) as string[];
    return replies.map((reply) => {
      const [state, viewers] = reply.split(" ");
      return { state: state as Standing["state"], viewers: Number(viewers) };
    });
  }

  async release({ id, attempt }: HeldRun): Promise<void> {
    await this.#run(scripts.RELEASE, [id, attempt]);
  }

  async postpone({ id, attempt }: HeldRun, ms: number): Promise<void> {
    await this.#run(scripts.POSTPONE, [id, attempt, ms]);
  }

  async attend(edge: string): Promise<number> {
    return Number(await this.#run(scripts.ATTEND, [edge, ATTENDANCE_MS]));
  }

  async orphans(): Promise<string[]> {
    return await this.#run(scripts.ORPHANS, []) as string[];
  }

  async takeOver(id: string, { unwatched = false }: TakeOverOptions = {}): Promise<TakenRun | undefined> {
    const values = [id, LEASE_MS, FORGET_MS, unwatched ? 1 : 0];
    const reply = await this.#run(scripts.TAKE_OVER, values) as string[];
    if (reply.length === 0) return undefined;
    const [attempt, lastId, stepped, restarts, takeovers, worker, request, image, abandoned] = reply;
    return {
      id,
      attempt: Number(attempt),
      lastId: Number(lastId),
      stepped: stepped === "1",
      abandoned: abandoned === "1",
      restarts: Number(restarts),
      takeovers: Number(takeovers),
      worker: worker || undefined,
      request: request!,
      image: image || undefined,
    };
  }

  async watch(viewers: readonly { id: string; viewer: string }[], viewerMs: number): Promise<void> {
    if (viewers.length === 0) return;
    await this.#run(scripts.WATCH, [viewerMs, ...viewers.flatMap(({ id, viewer }) => [id, viewer])]);
  }

  async leave(id: string, viewer: string): Promise<boolean> {
    return Number(await this.#run(scripts.LEAVE, [id, viewer])) === 1;
  }

  changes(listener: (id: string) => void): Disposable {
    this.#listeners.add(listener);
    this.#channel ??= new RedisChannel({
      url: this.#link.url,
      token: this.#link.token,
      channel: "spectrum:runs",
      onMessage: (id) => this.#listeners.forEach((listener) => listener(id)),
    });
    this.#returns ??= this.#link.returns(() => this.#channel?.renew());
    return {
      [Symbol.dispose]: () => {
        this.#listeners.delete(listener);
        if (this.#listeners.size > 0) return;
        this.#channel?.[Symbol.dispose]();
        this.#returns?.[Symbol.dispose]();
        this.#channel = this.#returns = undefined;
      },
    };
  }

  /** The runs of one request send their image once. @returns whether it is kept */
  async #keepImage({ name, base64 }: OrderImage): Promise<boolean> {
    const keep = async () => {
      const ask = (text: string) => this.#run(scripts.KEEP_IMAGE, [name, text, IMAGE_MS, MAX_IMAGES]);
      if (await ask("") === 1) return true;
      using _turn = await this.#uploads.take();
      return await ask(base64) === 1;
    };
    const keeping = this.#keeping.get(name) ?? keep().finally(() => this.#keeping.delete(name));
    this.#keeping.set(name, keeping);
    return await keeping;
  }

  async #read(id: string, from: string): Promise<RunPage | undefined> {
    let [state, worker]: [RunState, string | undefined] = ["open", undefined];
    const events: NumberedEvent[] = [];
    let pieces: { id: number; text: string } | undefined;
    // An event that is larger than an answer takes several.
    for (let start = from; events.length === 0;) {
      const reply = await this.#run(scripts.READ, [id, start, PAGE]) as string[];
      if (reply.length === 0) return undefined;
      [state, worker] = [reply[0] as RunState, reply[1] || undefined];
      if (reply.length === 2) break;
      for (let i = 2; i < reply.length; i += 3) {
        const [entry, text, more] = [reply[i]!, reply[i + 1]!, reply[i + 2]!];
        const eventId = Number(entry.split("-")[0]);
        // Pieces of an event that was never finished are followed by those of another.
        pieces = { id: eventId, text: pieces?.id === eventId ? pieces.text + text : text };
        if (more === "0") events.push({ id: eventId, event: JSON.parse(pieces.text) });
        start = `(${entry}`;
      }
    }
    return { state, worker, events };
  }

  #run(script: string, values: (string | number)[], waitMs = 0): Promise<unknown> {
    const texts = values.map(String);
    const alone = texts.reduce((sum, { length }) => sum + length, 0) > MAX_SHARED_CHARACTERS;
    return this.#link.ask((redis) => redis.eval(script, [], texts), { alone, waitMs });
  }
}

interface Batch {
  entries: [id: string, text: string, more: "0" | "1"][];
  stepped: boolean;
  final: RunState | undefined;
  /** Id and text of its newest whole event, without the bytes. */
  brief: string;
}

function emptyBatch(): Batch {
  return { entries: [], stepped: false, final: undefined, brief: "" };
}

/** Events in pieces, a request's worth at a time. */
function* toBatches(events: readonly NumberedEvent[]): Generator<Batch> {
  let batch = emptyBatch();
  let size = 0;
  for (const { id, event } of events) {
    const text = JSON.stringify(event);
    const count = Math.ceil(text.length / PIECE);
    for (let part = 0; part < count; part++) {
      const piece = text.slice(part * PIECE, (part + 1) * PIECE);
      if (size > 0 && size + piece.length > PAGE) {
        yield batch;
        batch = emptyBatch();
        size = 0;
      }
      batch.entries.push([`${id}-${part}`, piece, part + 1 < count ? "1" : "0"]);
      size += piece.length;
    }
    batch.stepped ||= isStep(event);
    batch.final ??= finalState(event);
    batch.brief = `${id} ${JSON.stringify(toBrief(event))}`;
  }
  if (batch.entries.length > 0) yield batch;
}
