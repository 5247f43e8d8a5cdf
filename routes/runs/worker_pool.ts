// All configured workers as one: it lists the models of all, hands runs to the least busy worker, and avoids
// workers that fail.
import { ApiError } from "../../protocol/wire/api_error.ts";
import type { ModelCard } from "../../protocol/wire/model_card.ts";
import type {
  CompleteSettings,
  OpenCompletionRequest,
  OpenRunRequest,
  RunAccepted,
} from "../../protocol/wire/run_request.ts";
import { idsBefore } from "../../protocol/store/run_log/attempt_ids.ts";
import type { Log } from "../../protocol/process/structured_log.ts";
import { CircuitBreaker } from "./circuit_breaker.ts";
import type { WorkerClient, WorkerStatus } from "./worker_client.ts";

/** The methods of a worker's client that the pool needs. */
export type PooledWorker = Pick<
  WorkerClient,
  "url" | "models" | "complete" | "submit" | "events" | "cancel" | "status" | "isMaking"
>;

export interface WorkerPoolOptions {
  workers: readonly PooledWorker[];
  log: Log;
  /** Largest age of a worker's known load, in milliseconds. @default 2000 */
  freshMs?: number;
  /** Age of a worker's known load from which a run waits for an answer, in milliseconds. @default 10000 */
  staleMs?: number;
  /**
   * Milliseconds after which another worker is asked too, or the answer of another worker is enough.
   * @default 1000
   */
  hedgeMs?: number;
  /** Milliseconds from any origin. @default performance.now */
  now?: () => number;
}

export interface SubmitOptions {
  /** Only workers with these weights. */
  modelDigest: string;
  /** Origin of the worker that lost an attempt. It is asked last. @default none */
  avoid?: string | undefined;
  /**
   * Called when a worker has not answered whether it took the run. Returns the number of the next worker's
   * attempt, or undefined if no other worker may be asked.
   * @default the number stays
   */
  advance?: () => Promise<number | undefined>;
}

interface Member {
  client: PooledWorker;
  breaker: CircuitBreaker;
  status: WorkerStatus | undefined;
  /** Number of its runs, as far as is known. */
  load: number;
  /** Calls under way. */
  pending: number;
  /** Number of runs that it was given. A status from before the last one is out of date. */
  given: number;
  cards: ModelCard[] | undefined;
  checkedAt: number;
  checking: Promise<void> | undefined;
}

const AWAY: WorkerStatus = { ready: false, queue_depth: 0, running: false };

/**
 * Cost of loading a model, in waiting runs. Up to this many, a worker that has the
 * model is the better choice.
 */
const COLD_COST = 4;
/** Cost of a worker at which an attempt was lost: it is asked after every other that takes runs. */
const AVOIDED_COST = 1000;
/** Cost of a worker that takes no runs, as far as is known: it is asked last. */
const AWAY_COST = 2000;

export class WorkerPool {
  readonly #members: Member[];
  readonly #options: Required<Omit<WorkerPoolOptions, "workers">>;
  /** Equal choices take turns. */
  #turn = 0;

  constructor({ workers, ...options }: WorkerPoolOptions) {
    this.#options = {
      freshMs: 2000,
      staleMs: 10_000,
      hedgeMs: 1000,
      now: () => performance.now(),
      ...options,
    };
    const { now } = this.#options;
    this.#members = workers.map((client) => ({
      client,
      breaker: new CircuitBreaker({ now }),
      status: undefined,
      load: 0,
      pending: 0,
      given: 0,
      cards: undefined,
      checkedAt: -Infinity,
      checking: undefined,
    }));
  }

  /** Returns a worker by its origin. Undefined if it is not configured. */
  client(origin: string): PooledWorker | undefined {
    return this.#members.find(({ client }) => client.url === origin)?.client;
  }

  /**
   * Returns the models of all workers, each once. A slow worker counts with its last answer.
   * @throws {ApiError} 503 if none answers
   */
  async models(): Promise<ModelCard[]> {
    const answers = this.#members.map(({ cards }) => cards ?? []);
    let failure: unknown;
    const asked = this.#members.map(async (member, index) => {
      answers[index] = await this.#askModels(member).catch((cause) => {
        failure = cause;
        return [];
      });
      if (answers[index].length === 0) throw failure;
    });
    const first = Promise.any(asked).catch(() => {});
    await this.#notLonger(Promise.allSettled(asked), first);
    const cards = new Map<string, ModelCard>();
    for (const card of answers.flat()) {
      const known = cards.get(card.id);
      // During a deployment workers may hold different weights: the first digest stands, as loaded if
      // any worker has it loaded.
      if (known === undefined || !known.loaded && card.loaded && known.digest === card.digest) {
        cards.set(card.id, card);
      }
    }
    if (cards.size === 0 && failure !== undefined) throw failure;
    return [...cards.values()];
  }

  /**
   * Returns `request` with the checkpoint's defaults filled in.
   * @throws {ApiError} 400, 404 as a worker says, 503
   */
  async complete(request: OpenCompletionRequest): Promise<CompleteSettings> {
    const members = await this.#candidates(request.model, {});
    const { promise, resolve, reject } = Promise.withResolvers<CompleteSettings>();
    let refusal: ApiError | undefined;
    let pending = 0;
    // All workers of a model say the same, so the next one is asked as soon as the one before is slow.
    const askNext = () => {
      const member = members.shift();
      if (member === undefined) {
        if (pending === 0) reject(refusal ?? unavailable());
        return;
      }
      if (!member.breaker.allows()) return askNext();
      pending++;
      const timer = setTimeout(askNext, this.#options.hedgeMs);
      const settle = () => {
        pending--;
        clearTimeout(timer);
      };
      this.#ask(member, (client) => client.complete(request)).then(
        (answer) => {
          settle();
          members.length = 0;
          resolve(answer);
        },
        (error) => {
          settle();
          if (!isOwnReason(error)) return reject(error);
          refusal = worse(refusal, error);
          askNext();
        },
      );
    };
    askNext();
    return await promise;
  }

  /**
   * Hands a run to one worker.
   * @returns undefined if `advance` ended it
   * @throws {ApiError} 400, 404, 429, 503 as the last worker asked says
   */
  async submit(
    request: OpenRunRequest,
    options: SubmitOptions,
  ): Promise<{ worker: string; accepted: RunAccepted } | undefined> {
    const submitted = await this.#submit(request, options);
    if (submitted === undefined) return undefined;
    const { member, answer } = submitted;
    member.load = answer.position + 1;
    member.given++;
    return { worker: member.client.url, accepted: answer };
  }

  /** Ends a run within one step. A run that is over or forgotten stays as it is. */
  async cancel(origin: string, { id, attempt }: { id: string; attempt?: number }): Promise<void> {
    await this.client(origin)?.cancel(id, attempt);
  }

  /** Returns whether any worker takes runs. */
  async ready(): Promise<boolean> {
    await Promise.all(this.#members.map((member) => this.#check(member, this.#options.freshMs)));
    return this.#members.some(({ status }) => status?.ready === true);
  }

  /** Each worker by its origin, for operators. */
  get states(): { worker: string; ready: boolean; load: number; breaker: CircuitBreaker["state"] }[] {
    return this.#members.map(({ client, status, load, breaker }) => ({
      worker: client.url,
      ready: status?.ready === true,
      load,
      breaker: breaker.state,
    }));
  }

  /** Asks one worker after the other, until one does not refuse for reasons of its own. */
  async #submit(
    request: OpenRunRequest,
    options: SubmitOptions,
  ): Promise<{ member: Member; answer: RunAccepted } | undefined> {
    let refusal: ApiError | undefined;
    let { shared } = request;
    for (const member of await this.#candidates(request.model, options)) {
      if (!member.breaker.allows()) continue;
      const run = { ...request, ...shared && { shared } };
      try {
        return { member, answer: await this.#ask(member, (client) => client.submit(run)) };
      } catch (cause) {
        const error = ApiError.from(cause);
        if (!isOwnReason(error)) throw error;
        refusal = worse(refusal, error);
        if (!isUnreachable(error) || !shared) continue;
        // One that hangs may take the run up once it goes on.
        member.client.cancel(shared.id, shared.attempt).catch(() => {});
        const { attempt } = shared;
        const next = options.advance === undefined ? attempt : await options.advance();
        if (next === undefined) return undefined;
        shared = { ...shared, attempt: next, ...shared.log && { after: idsBefore(next) } };
      }
    }
    throw refusal ?? unavailable();
  }

  /** @throws {ApiError} */
  async #ask<T>(member: Member, call: (client: PooledWorker) => Promise<T>): Promise<T> {
    member.pending++;
    try {
      const answer = await call(member.client);
      member.breaker.succeeded();
      return answer;
    } catch (cause) {
      const error = ApiError.from(cause);
      if (isUnreachable(error)) {
        member.breaker.failed();
        // The answer is as good as a look at the worker.
        member.checkedAt = this.#options.now();
        member.status = AWAY;
      } else member.breaker.succeeded();
      if (isOwnReason(error)) {
        this.#options.log("warn", "worker passed over", { worker: member.client.url, code: error.code });
      }
      throw error;
    } finally {
      member.pending--;
    }
  }

  /** Waits for `all`, but beyond `hedgeMs` only until `enough`. */
  async #notLonger(all: Promise<unknown>, enough: Promise<unknown>): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => timer = setTimeout(resolve, this.#options.hedgeMs));
    await Promise.race([all, late.then(() => enough)]);
    clearTimeout(timer);
  }

  /** Returns the workers to ask, the best first: with less to do, and the model in memory. */
  async #candidates(model: string, { modelDigest, avoid }: Partial<SubmitOptions>): Promise<Member[]> {
    // A single worker needs no check, unless it was away when it was last asked.
    if (this.#members.every(({ breaker }) => this.#members.length === 1 && breaker.state === "closed")) {
      return [...this.#members];
    }
    const { freshMs, staleMs } = this.#options;
    const isStale = ({ checkedAt, breaker }: Member) =>
      this.#options.now() - checkedAt > (breaker.state === "closed" ? staleMs : freshMs);
    const checks = this.#members.map(async (member) => {
      const check = this.#check(member, freshMs);
      if (isStale(member)) await check;
    });
    await this.#notLonger(Promise.all(checks), Promise.race(checks));
    const turn = this.#turn++;
    const cost = (member: Member, index: number) =>
      member.load + member.pending + (cardOf(member, model)?.loaded === false ? COLD_COST : 0) +
      (member.client.url === avoid ? AVOIDED_COST : 0) +
      (member.status?.ready === false || isStale(member) ? AWAY_COST : 0) +
      ((index + turn) % this.#members.length) / this.#members.length;
    return this.#members
      .filter((member) => {
        const card = cardOf(member, model);
        if (member.cards === undefined) return true;
        return card !== undefined && (modelDigest === undefined || card.digest === modelDigest);
      })
      .map((member, index) => ({ member, cost: cost(member, index) }))
      .sort((a, b) => a.cost - b.cost)
      .map(({ member }) => member);
  }

  /** Asks a worker for its status unless a recent one is known. Never rejects. */
  async #check(member: Member, maxAgeMs: number): Promise<void> {
    if (this.#options.now() - member.checkedAt < maxAgeMs) return;
    member.checking ??= (async () => {
      const { given } = member;
      try {
        const [status] = await Promise.all([member.client.status(), this.#askModels(member)]);
        member.status = status;
        const told = status.queue_depth + (status.running ? 1 : 0);
        member.load = member.given === given ? told : Math.max(told, member.load);
        member.breaker.reached();
      } catch {
        member.status = AWAY;
      } finally {
        member.checkedAt = this.#options.now();
        member.checking = undefined;
      }
    })();
    await member.checking;
  }

  async #askModels(member: Member): Promise<ModelCard[]> {
    return member.cards = await member.client.models();
  }
}

function cardOf({ cards }: Member, model: string): ModelCard | undefined {
  return cards?.find(({ id }) => id === model);
}

function isUnreachable({ code }: ApiError): boolean {
  return code === "worker_unavailable";
}

/** Whether a worker refuses for reasons of its own: another worker may well take the run. */
function isOwnReason({ status, code }: ApiError): boolean {
  return status >= 500 || code === "queue_full" || code === "model_not_found";
}

/** Returns the refusal that the client should learn of. A full queue says more than a worker that is away. */
function worse(known: ApiError | undefined, error: ApiError): ApiError {
  return known === undefined || error.status === 429 ? error : known;
}

function unavailable(): ApiError {
  return new ApiError(503, "No worker can be reached at the moment", {
    code: "worker_unavailable",
    retryAfter: 2,
  });
}
