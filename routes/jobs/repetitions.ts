// Tells a client's retry from a new request, so that it never starts a second run:
// docs/decisions/0018-retries.md.
import canonicalize from "canonicalize";
import { ApiError } from "../../protocol/wire/api_error.ts";
import { sha256 } from "../keys/api_key.ts";
import { drawJobId } from "./job_record.ts";
import type { StateStore } from "../state/state_store.ts";

export interface RepetitionsOptions {
  state: StateStore;
  /** 0..2^32-1. */
  drawSeed: () => number;
}

export interface Asked {
  /** Reads one header. */
  header: (name: string) => string | undefined;
  tenant: string;
  /** The parsed request, with hashes for its large parts. */
  request: object & { seed?: number | undefined };
}

export interface Recognized {
  /** The request's own, that of what it repeats, or a drawn one. */
  seed: number;
  /** Id of the job of this request and of all its repetitions. */
  job: string;
  /** Whether an Idempotency-Key names it. */
  repeated: boolean;
  /** Whether others, namely repetitions, may find its run, and whether its result is worth storing. */
  sharing: "none" | "runs" | "results";
  /** Milliseconds for which a run is kept for a client that left without its answer. */
  graceMs: number;
  /** Notes that the client has gone without its answer. The next repetition counts as one of this request. */
  lost(): void;
}

/** For as long as jobs last. */
const KEY_MS = 86_400_000;
/** Clients give up retrying long before. */
const RETRY_MS = 120_000;
/**
 * OpenAI's clients come back within half a second, then within one more. That none of them will cannot be
 * known before: a user who stops and a line that breaks close the connection alike, and how often a client
 * retries is its own to set.
 */
const GRACE_MS = 1500;
/** Sent by OpenAI's clients: "0" with a new request. */
const RETRY_HEADER = "x-stainless-retry-count";

export class Repetitions {
  readonly #state: StateStore;
  readonly #drawSeed: () => number;

  constructor({ state, drawSeed }: RepetitionsOptions) {
    this.#state = state;
    this.#drawSeed = drawSeed;
  }

  /**
   * Finds the request that this one repeats, or notes it as a new one.
   * @throws {ApiError} 400 for a key that is none, 422 for one that came with another request
   */
  async recognize(asked: Asked): Promise<Recognized> {
    const { request, header } = asked;
    const key = header("idempotency-key");
    if (key !== undefined) return await this.#byKey(asked, key);
    const retry = header(RETRY_HEADER);
    const graceMs = retry === undefined ? 0 : GRACE_MS;
    const job = drawJobId();
    if (request.seed !== undefined) {
      return { seed: request.seed, job, repeated: false, sharing: "results", graceMs, lost() {} };
    }
    if (retry === undefined) {
      return { seed: this.#drawSeed(), job, repeated: false, sharing: "none", graceMs, lost() {} };
    }
    return { ...await this.#byRetry(asked, Number(retry) > 0), job, repeated: false, graceMs };
  }

  async #byKey({ tenant, request }: Asked, key: string): Promise<Recognized> {
    if (!/^[\x21-\x7e]{1,255}$/.test(key)) {
      throw new ApiError(400, "Idempotency-Key must have 1..255 printable ASCII characters without spaces", {
        code: "invalid_idempotency_key",
      });
    }
    const fingerprint = await fingerprintOf(request);
    // Drawn from the key itself, so that every edge draws the same, whatever the store
    // has lost or was never told.
    const drawn = sha256(`${tenant}\0${key}\0${fingerprint}`);
    const seed = request.seed ?? new DataView(drawn.buffer).getUint32(0);
    const job = `job_${drawn.slice(4, 20).toHex()}`;
    const name = `repeat:${tenant}:${sha256(key).toHex()}`;
    const isNew = await this.#state.set(name, fingerprint, { ttlMs: KEY_MS, onlyIfAbsent: true, keep: true });
    if (!isNew && (await this.#known(name) ?? fingerprint) !== fingerprint) {
      throw new ApiError(422, "This Idempotency-Key came with another request before", {
        code: "idempotency_key_reused",
      });
    }
    return { seed, job, repeated: !isNew, sharing: "results", graceMs: GRACE_MS, lost() {} };
  }

  /**
   * Returns what other edges noted, if the store can tell. No picture is refused because the store is away.
   */
  async #known(name: string): Promise<string | undefined> {
    return await this.#state.get(name).catch(() => undefined);
  }

  /**
   * Seeds drawn for equal requests of one client wait in a list, those whose clients have gone at its front.
   */
  async #byRetry(
    { tenant, request }: Asked,
    isRetry: boolean,
  ): Promise<Pick<Recognized, "seed" | "sharing" | "lost">> {
    const list = `retry:${tenant}:${await fingerprintOf(request)}`;
    const known = isRetry ? await this.#state.rotate(list) : undefined;
    const seed = known === undefined ? this.#drawSeed() : Number(known);
    if (known === undefined) await this.#state.push(list, String(seed), { ttlMs: RETRY_MS });
    const lost = () => {
      this.#state.push(list, String(seed), { ttlMs: RETRY_MS, front: true }).catch(() => {});
    };
    return { seed, sharing: "runs", lost };
  }
}

async function fingerprintOf(request: object): Promise<string> {
  const defined = Object.entries(request).filter(([, value]) => value !== undefined);
  return (await sha256(canonicalize(JSON.parse(JSON.stringify(Object.fromEntries(defined))))!)).toHex();
}
