// Clients that insist on what they asked for, and a ledger of what they were promised.
import { RedisLink } from "../../protocol/store/redis_link.ts";
import { monthCounter } from "../../routes/keys/key_limits.ts";
import { RedisKeyStore } from "../../routes/keys/redis_key_store.ts";
import { drawTestKey } from "../routes/keys/key.ts";
import { until } from "../until.ts";
import type { Lab } from "./chaos_lab.ts";
import { streamed } from "./requests.ts";

const PLAIN = { spectrum: { method: "none" } };
const LINES = 10;
/** A client repeats its request for so long, then the promise is broken. */
const INSIST_MS = 90_000;
/** Longer than a process is stopped. */
const ANSWER_MS = 12_000;
const ENDED = ["completed", "failed", "cancelled", "expired"];
/** Refusals that no repetition changes. */
const FINAL = [400, 401, 403, 404, 409, 410, 413, 422];

interface Job {
  pictures: number;
  /** Answer to its cancellation. */
  cancelled?: string;
  /** The first end that anybody saw. */
  end?: string;
}

export interface Reckoning {
  /** Jobs and batches without an end, and jobs whose webhook was not told. */
  open: number;
  /** Pictures in the store of keys. */
  counted: number;
  /** Pictures that clients were given, or that the ends of their jobs and batches name. */
  delivered: number;
  jobs: Record<string, number>;
  batches: Record<string, number>;
  /** Webhooks told more than once, as is allowed where an edge or the store died. */
  toldAgain: number;
}

export class Ledger {
  /** The broken promises. */
  readonly broken = new Set<string>();
  readonly #lab: Lab;
  readonly #random: () => number;
  readonly #keys: RedisKeyStore;
  readonly #key: Promise<{ key: string; counter: string }>;
  readonly #jobs = new Map<string, Job>();
  /** Number of pictures of answers and streams. */
  #pictures = 0;
  #closed = false;

  constructor(lab: Lab, random: () => number) {
    this.#lab = lab;
    this.#random = random;
    const { UPSTASH_REDIS_REST_URL: url, UPSTASH_REDIS_REST_TOKEN: token } = lab.store;
    const keys = this.#keys = new RedisKeyStore(
      new RedisLink({ url: url!, token: token!, timeoutMs: 10_000 }),
    );
    this.#key = (async () => {
      const { key, record } = await drawTestKey({ pictures_per_month: 1_000_000 });
      await keys.add(record);
      return { key, counter: monthCounter(record.id, new Date()) };
    })();
  }

  /** Begins to ask. Each promise resolves once its client has what it insists on, after `close()`. */
  open(): Promise<void>[] {
    const clients = [
      () => this.#ask(),
      () => this.#ask(),
      () => this.#begin(),
      () => this.#poll(),
      () => this.#follow(),
      () => this.#follow(),
      () => this.#batch(),
    ];
    return clients.map(async (client) => {
      while (!this.#closed) await client();
    });
  }

  /** No client begins anything anew. */
  close(): void {
    this.#closed = true;
  }

  /** Compares what was promised with what has become of it. */
  async reckon(): Promise<Reckoning> {
    const jobs: Record<string, number> = {};
    let [open, delivered, toldAgain] = [0, this.#pictures, 0];
    for (const [id, job] of this.#jobs) {
      await this.#look(id);
      const { end = "open", pictures, cancelled } = job;
      jobs[end] = (jobs[end] ?? 0) + 1;
      if (end === "completed") delivered += pictures;
      if (end === "cancelled" && cancelled === undefined) this.#break(`job ${id} was cancelled by nobody`);
      const told = this.#lab.told.get(id) ?? [];
      if (end === "open" || told.length === 0) open++;
      if (told.length > 1) toldAgain++;
      if (told.some((type) => type !== `job.${end}`)) {
        this.#break(`job ${id} is ${end}, and was told ${told}`);
      }
    }
    const batches: Record<string, number> = {};
    for (const { id, status, request_counts, output_file_id } of await this.#batches()) {
      batches[status] = (batches[status] ?? 0) + 1;
      if (!ENDED.includes(status)) open++;
      else delivered += request_counts.completed;
      if (status === "completed") await this.#checkLines(id, output_file_id);
    }
    const counted = await this.#keys.used((await this.#key).counter);
    return { open, counted, delivered, jobs, batches, toldAgain };
  }

  /** One picture as JSON, asked for once or twice under one key. */
  async #ask(): Promise<void> {
    const [name, seeds] = [crypto.randomUUID(), new Set<number>()];
    for (let times = this.#random() < 0.3 ? 2 : 1; times > 0; times--) {
      const answer = await this.#insist(`picture ${name}`, "/v1/images/generations", {
        ...{ name, body: { prompt: name, steps: 20, ...PLAIN } },
      });
      if (answer === undefined) return;
      seeds.add((await answer.json()).data[0].seed);
    }
    if (seeds.size > 1) this.#break(`picture ${name} had ${seeds.size} seeds`);
    this.#pictures++;
  }

  /** A job, of which some are cancelled. */
  async #begin(): Promise<void> {
    const name = crypto.randomUUID();
    const pictures = 1 + Math.floor(3 * this.#random());
    const body = {
      prompt: name,
      steps: 30,
      n: pictures,
      background: true,
      webhook: this.#lab.hook,
      ...PLAIN,
    };
    const answer = await this.#insist(`job ${name}`, "/v1/images/generations", { name, body });
    if (answer === undefined) return;
    const { id } = await answer.json();
    const job: Job = { pictures };
    this.#jobs.set(id, job);
    if (this.#random() < 0.15) {
      const told = await this.#insist(`cancellation of ${id}`, `/v1/jobs/${id}/cancel`, { method: "POST" });
      if (told !== undefined) job.cancelled = (await told.json()).status as string;
    }
    await sleep(600);
  }

  /** Looks at any job: its end never changes. */
  async #poll(): Promise<void> {
    const ids = [...this.#jobs.keys()];
    if (ids.length > 0) await this.#look(ids[Math.floor(this.#random() * ids.length)]!);
    await sleep(150);
  }

  async #look(id: string): Promise<void> {
    const job = this.#jobs.get(id)!;
    const answer = await this.#call(`/v1/jobs/${id}`);
    if (answer?.status === 404) this.#break(`job ${id} is unknown`);
    if (answer?.status !== 200) return void await answer?.body?.cancel().catch(() => {});
    const found = await answer.json().catch(() => undefined);
    if (found === undefined || !ENDED.includes(found.status)) {
      if (found !== undefined && job.end !== undefined) {
        this.#break(`job ${id} was ${job.end}, is ${found.status}`);
      }
      return;
    }
    const { status, result, error } = found;
    if (status !== (job.end ?? status)) this.#break(`job ${id} was ${job.end}, is ${status}`);
    if (job.cancelled === "cancelled" && status !== "cancelled") {
      this.#break(`job ${id} was cancelled, is ${status}`);
    }
    if (status === "completed" && result?.data.length !== job.pictures) {
      this.#break(`job ${id} lacks pictures`);
    }
    // A run that loses four workers in mid-work is given up.
    if (status === "failed" && error.code !== "worker_lost") this.#break(`job ${id} failed: ${error.code}`);
    job.end = status;
  }

  /** A stream that is continued wherever it breaks off, and asked for anew where it cannot be. */
  async #follow(): Promise<void> {
    const name = crypto.randomUUID();
    const body = { prompt: name, steps: 80, stream: true, progress: true, partial_images: 1, ...PLAIN };
    let [job, last]: [string | undefined, number] = [undefined, 0];
    const read = async (): Promise<boolean> => {
      const response = job === undefined
        ? await this.#call("/v1/images/generations", { name, body })
        : await this.#call(`/v1/jobs/${job}/events`, {
          headers: last > 0 ? { "last-event-id": String(last) } : {},
        });
      if (response?.status !== 200) {
        if (response?.status === 404) [job, last] = [undefined, 0];
        await response?.body?.cancel().catch(() => {});
        return false;
      }
      job = response.headers.get("x-spectrum-job") ?? job;
      try {
        for await (const { id, type } of streamed(response)) {
          if (type === "error") {
            [job, last] = [undefined, 0];
            return false;
          }
          if (Number(id) <= last) this.#break(`stream ${name} had event ${id} after ${last}`);
          last = Number(id);
          if (type.endsWith("completed")) return true;
        }
      } catch {
        // It broke off.
      }
      return false;
    };
    const isRead = await until(read, { within: INSIST_MS, every: 400 }).catch(() => false);
    if (isRead) this.#pictures++;
    else this.#break(`stream ${name} had no end`);
  }

  async #batch(): Promise<void> {
    const lines = Array.from({ length: LINES }, (_, index) => ({
      ...{ custom_id: `${index}`, method: "POST", url: "/v1/images/generations" },
      body: { prompt: `line ${index} ${crypto.randomUUID()}`, steps: 8, ...PLAIN },
    }));
    const form = new FormData();
    form.set("purpose", "batch");
    form.set("file", new File([lines.map((line) => JSON.stringify(line)).join("\n")], "requests.jsonl"));
    const file = await this.#insist("file", "/v1/files", { form });
    if (file !== undefined) {
      const input_file_id = (await file.json()).id;
      const order = { input_file_id, endpoint: "/v1/images/generations", completion_window: "24h" };
      // Asked once: where the answer is lost, the list of batches tells whether it was begun.
      const answer = await this.#call("/v1/batches", { body: order });
      await answer?.body?.cancel().catch(() => {});
    }
    for (let second = 0; second < 10 && !this.#closed; second++) await sleep(1000);
  }

  // deno-lint-ignore no-explicit-any
  async #batches(): Promise<any[]> {
    const answer = await this.#insist("list of batches", "/v1/batches?limit=100", { method: "GET" });
    return answer === undefined ? [] : (await answer.json()).data;
  }

  async #checkLines(batch: string, file: string): Promise<void> {
    const answer = await this.#insist(`results of ${batch}`, `/v1/files/${file}/content`, { method: "GET" });
    const lines = (await answer?.text() ?? "").trimEnd().split("\n").map((line) =>
      JSON.parse(line).custom_id
    );
    if (new Set(lines).size !== LINES || lines.length !== LINES) {
      this.#break(`batch ${batch} has lines ${lines}`);
    }
  }

  /**
   * Asks any edge until one answers.
   * @returns undefined if none did, or where the answer is a refusal for good
   */
  async #insist(what: string, path: string, asked: Asked): Promise<Response | undefined> {
    let refused = "";
    const answer = await until(async () => {
      const response = await this.#call(path, asked);
      if (response?.ok) {
        // An answer that breaks off counts as none.
        const bytes = await response.bytes().catch(() => undefined);
        return bytes && new Response(bytes, { headers: response.headers });
      }
      const text = await response?.text().catch(() => "") ?? "";
      if (response !== undefined && FINAL.includes(response.status)) refused = `${response.status} ${text}`;
      return refused !== "" ? new Response(null, { status: 599 }) : undefined;
    }, { within: INSIST_MS, every: 400 }).catch(() => undefined);
    if (answer?.ok) return answer;
    this.#break(`${what} was not given: ${refused || "no answer"}`);
    return undefined;
  }

  async #call(
    path: string,
    { method, body, form, name, headers = {} }: Asked = {},
  ): Promise<Response | undefined> {
    const { edges } = this.#lab;
    try {
      const { key } = await this.#key;
      return await fetch(edges[Math.floor(this.#random() * edges.length)]! + path, {
        method: method ?? (body ?? form ? "POST" : "GET"),
        headers: {
          authorization: `Bearer ${key}`,
          ...body !== undefined && { "content-type": "application/json" },
          ...name !== undefined && { "idempotency-key": name },
          ...headers,
        },
        ...body !== undefined && { body: JSON.stringify(body) },
        ...form !== undefined && { body: form },
        signal: AbortSignal.timeout(ANSWER_MS),
      });
    } catch {
      return undefined;
    }
  }

  #break(what: string): void {
    this.broken.add(what);
  }
}

interface Asked {
  /** @default POST with a body, else GET */
  method?: string;
  body?: object;
  form?: FormData;
  /** Its Idempotency-Key. */
  name?: string;
  headers?: Record<string, string>;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
