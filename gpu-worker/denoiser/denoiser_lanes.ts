// Runs several pictures on one network. Each picture has a lane, which looks like a network of its own. The
// calls that all lanes make at the same step become one call of the shared network.
import type {
  ForecastCall,
  ForecastOptions,
  FullCall,
  FullResult,
  PlannedForecasts,
} from "../../sampler/mod.ts";
import { oneByOne } from "./combine_rows.ts";
import type { RunDenoiser } from "./run_denoiser.ts";

/** A network for several pictures. Their latents and outputs are concatenated. */
export interface PicturesDenoiser extends Disposable {
  /**
   * Takes over the history of a network of more pictures, so that it can go on in its place.
   * @param pictures the places there of this network's pictures
   */
  adopt?(from: PicturesDenoiser, pictures: readonly number[]): Promise<void>;
  full(call: FullCall): Promise<Pick<FullResult, "output"> & { forecastErrors?: readonly number[] }>;
  forecast(calls: readonly ForecastCall[], options?: ForecastOptions): Promise<Float32Array[]>;
  prepare(forecasts: readonly PlannedForecasts[]): Promise<void>;
}

/** The network that lanes share. */
export interface SharedDenoiser extends Omit<PicturesDenoiser, "adopt"> {
  /**
   * Goes on with some of its pictures alone. Forecasts are then to be announced again.
   * @param pictures their places among the pictures so far
   */
  narrow?(pictures: readonly number[]): Promise<void>;
}

/** One picture's part of a shared network. Disposing of a lane releases the lanes that wait for it. */
export type DenoiserLane = RunDenoiser;

/**
 * Returns one lane for each of `pictures` pictures. All lanes must
 * ask for the same steps, so their step plans must be equal.
 * A lane whose signal aborts rejects at once, while the call that it is part of goes on for the
 * others. Once all lanes have aborted, the call itself is aborted. The last lane rejects only
 * then, so that nothing is freed while the call still uses it.
 * The rows of a lane that has left go at the next full pass if `shared` can narrow; else they are
 * computed to the end, and their outputs are dropped. The last lane disposes of `shared`.
 */
export function denoiserLanes(shared: SharedDenoiser, pictures: number): DenoiserLane[] {
  const meeting = new Meeting(shared, pictures);
  return Array.from({ length: pictures }, (_, picture): DenoiserLane => ({
    full: (call) => meeting.ask(picture, { kind: "full", call, signal: call.signal }),
    forecast: (calls, { sums, signal } = {}) =>
      meeting.ask(picture, { kind: "forecast", calls, sums, signal }),
    prepare: (forecasts) => meeting.prepare(picture, forecasts),
    [Symbol.dispose]: () => meeting.leave(picture),
  }));
}

interface FullAsked {
  kind: "full";
  call: FullCall;
  signal: AbortSignal | undefined;
}

interface ForecastAsked {
  kind: "forecast";
  calls: readonly ForecastCall[];
  sums: readonly Float64Array[] | undefined;
  signal: AbortSignal | undefined;
}

interface Waiting<Asked extends FullAsked | ForecastAsked> {
  asked: Asked;
  settle: PromiseWithResolvers<unknown>;
}

type AnyWaiting = Waiting<FullAsked> | Waiting<ForecastAsked>;

/** Holds each lane's call until all open lanes have made theirs. */
class Meeting {
  readonly #shared: SharedDenoiser;
  /** The pictures that are computed, in the order of their rows. */
  #computed: readonly number[];
  readonly #open: Set<number>;
  #waiting = new Map<number, AnyWaiting>();
  /** The lanes whose call is running now. */
  #running: ReadonlyMap<number, AnyWaiting> | undefined;
  #prepared: Promise<void> | undefined;
  /** The forecasts that each lane announced. */
  readonly #announced = new Map<number, readonly PlannedForecasts[]>();
  /** The picture whose forecasts were announced for all pictures. */
  #leader: number | undefined;
  /** The latents of all pictures. */
  #latents: Float32Array | undefined;

  constructor(shared: SharedDenoiser, pictures: number) {
    this.#shared = shared;
    this.#computed = Array.from({ length: pictures }, (_, picture) => picture);
    this.#open = new Set(this.#computed);
  }

  /**
   * Announces the first lane's forecasts for all lanes. Forecasts
   * that other lanes add are prepared when they are asked for.
   */
  prepare(picture: number, forecasts: readonly PlannedForecasts[]): Promise<void> {
    this.#announced.set(picture, forecasts);
    this.#leader ??= picture;
    return this.#prepared ??= this.#shared.prepare(forecasts);
  }

  ask(picture: number, asked: FullAsked): Promise<FullResult>;
  ask(picture: number, asked: ForecastAsked): Promise<Float32Array[]>;
  async ask(picture: number, asked: FullAsked | ForecastAsked): Promise<unknown> {
    const { signal } = asked;
    signal?.throwIfAborted();
    const settle = Promise.withResolvers<unknown>();
    const abort = () => {
      const othersGoOn = this.#running?.values().some(({ asked }) => !asked.signal?.aborted);
      if (this.#waiting.delete(picture) || othersGoOn) settle.reject(signal!.reason);
    };
    signal?.addEventListener("abort", abort);
    try {
      this.#waiting.set(picture, { asked, settle } as AnyWaiting);
      this.#runOnceAllWait();
      return await settle.promise;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  leave(picture: number): void {
    if (!this.#open.delete(picture)) return;
    this.#waiting.delete(picture);
    if (this.#running) return;
    if (this.#open.size === 0) this.#shared[Symbol.dispose]();
    else this.#runOnceAllWait();
  }

  async #runOnceAllWait(): Promise<void> {
    if (this.#running || this.#waiting.size < this.#open.size || this.#open.size === 0) return;
    const asked = this.#waiting;
    this.#waiting = new Map();
    this.#running = asked;
    try {
      using together = new TogetherSignal([...asked.values()].map(({ asked: { signal } }) => signal));
      if (areAll("full", asked)) await this.#full(asked as Map<number, Waiting<FullAsked>>, together.signal);
      else if (areAll("forecast", asked)) {
        await this.#forecast(asked as Map<number, Waiting<ForecastAsked>>, together.signal);
      } else throw new TypeError("Cannot run lanes together that ask for different steps");
    } catch (cause) {
      for (const { asked: { signal }, settle } of asked.values()) {
        settle.reject(signal?.aborted ? signal.reason : cause);
      }
    } finally {
      this.#running = undefined;
      if (this.#open.size === 0) this.#shared[Symbol.dispose]();
      else this.#runOnceAllWait();
    }
  }

  async #full(
    asked: ReadonlyMap<number, Waiting<FullAsked>>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { narrow } = this.#shared;
    if (narrow && asked.size < this.#computed.length) await this.#narrow([...asked.keys()], narrow);
    const { signal: _, ...call } = first(asked).call;
    const length = call.latents.length;
    const latents = this.#latents ??= new Float32Array(this.#computed.length * length);
    for (const [picture, { asked: { call } }] of asked) {
      latents.set(call.latents, this.#row(picture) * length);
    }
    const { output, forecastErrors } = await this.#shared.full({ ...call, latents, ...signal && { signal } });
    for (const [picture, { settle }] of asked) {
      settle.resolve({
        output: partOf(output, { row: this.#row(picture), length }),
        ...forecastErrors && { forecastError: forecastErrors[this.#row(picture)]! },
      });
    }
  }

  /** Takes the rows of lanes that have left out of the network. */
  async #narrow(left: readonly number[], narrow: Required<SharedDenoiser>["narrow"]): Promise<void> {
    const pictures = left.toSorted((a, b) => a - b);
    await narrow(pictures.map((picture) => this.#row(picture)));
    this.#computed = pictures;
    this.#latents = undefined;
    // Forecasts are known by the arrays of the lane that announced them.
    this.#leader = pictures.find((picture) => this.#announced.has(picture));
    const announced = this.#leader === undefined ? undefined : this.#announced.get(this.#leader);
    if (announced !== undefined) await this.#shared.prepare(announced);
  }

  #row(picture: number): number {
    return this.#computed.indexOf(picture);
  }

  async #forecast(
    asked: ReadonlyMap<number, Waiting<ForecastAsked>>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    // All lanes ask for the same calls. The leader's arrays are the ones that were announced, so use those.
    const { calls, sums: common } = asked.get(this.#leader ?? -1)?.asked ?? first(asked);
    // Lanes with previews need other sums than lanes without.
    // Every distinct sum is computed once, for all pictures.
    const sums = new DistinctSums(calls.length);
    sums.indicesOf(common);
    const wanted = new Map(
      [...asked].map(([picture, { asked: { sums: own } }]) => [picture, sums.indicesOf(own)]),
    );
    const outputs = await this.#shared.forecast(calls, {
      sums: common?.length === sums.all.length ? common : sums.all,
      ...signal && { signal },
    });
    const length = outputs[0]!.length / this.#computed.length;
    for (const [picture, { settle }] of asked) {
      const row = this.#row(picture);
      settle.resolve(wanted.get(picture)!.map((index) => partOf(outputs[index]!, { row, length })));
    }
  }
}

function areAll(kind: AnyWaiting["asked"]["kind"], asked: ReadonlyMap<number, AnyWaiting>): boolean {
  return [...asked.values()].every((waiting) => waiting.asked.kind === kind);
}

function first<Asked extends FullAsked | ForecastAsked>(asked: ReadonlyMap<number, Waiting<Asked>>): Asked {
  return asked.values().next().value!.asked;
}

function partOf(all: Float32Array, { row, length }: { row: number; length: number }): Float32Array {
  return all.subarray(row * length, (row + 1) * length);
}

/** Collects sums over the same calls and drops duplicates. */
class DistinctSums {
  readonly all: Float64Array[] = [];
  readonly #calls: number;

  constructor(calls: number) {
    this.#calls = calls;
  }

  /**
   * Adds `sums` and returns their indices in `all`.
   * @param sums undefined for each call on its own
   */
  indicesOf(sums: readonly Float64Array[] | undefined): number[] {
    return (sums ?? oneByOne(this.#calls)).map((weights) => {
      const known = this.all.findIndex((other) => other.every((weight, call) => weight === weights[call]));
      return known === -1 ? this.all.push(weights) - 1 : known;
    });
  }
}

/** Aborts once all of `signals` have aborted. Never aborts if one of them is undefined. */
class TogetherSignal implements Disposable {
  readonly signal: AbortSignal | undefined;
  readonly #stack = new DisposableStack();

  constructor(signals: readonly (AbortSignal | undefined)[]) {
    if (signals.some((signal) => signal === undefined)) return;
    const controller = new AbortController();
    this.signal = controller.signal;
    const check = () => {
      const [first] = signals;
      if (signals.every((signal) => signal!.aborted)) controller.abort(first!.reason);
    };
    for (const signal of signals) {
      signal!.addEventListener("abort", check);
      this.#stack.defer(() => signal!.removeEventListener("abort", check));
    }
    check();
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}
