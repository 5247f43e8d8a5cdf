// Several pictures on one network: each has a lane that looks like a network of its own, and what all lanes ask for at the same
// step is one run.
import type {
  ForecastCall,
  ForecastOptions,
  FullCall,
  FullResult,
  PlannedForecasts,
} from "../../sampler/mod.ts";
import { oneByOne } from "./combine_rows.ts";
import type { RunDenoiser } from "./run_denoiser.ts";

/** A network for several pictures, whose latents and outputs lie one after the other. */
export interface PicturesDenoiser extends Disposable {
  full(call: FullCall): Promise<Pick<FullResult, "output"> & { forecastErrors?: readonly number[] }>;
  forecast(calls: readonly ForecastCall[], options?: ForecastOptions): Promise<Float32Array[]>;
  prepare(forecasts: readonly PlannedForecasts[]): Promise<void>;
}

/** A picture's part of a network. Disposed of, it leaves: the others wait for it no more. */
export type DenoiserLane = RunDenoiser;

/**
 * The lanes of `pictures`, which must ask for the same steps, as runs with one plan do. A lane whose signal aborts is
 * told at once while the run that it is part of goes on for others; once all have aborted, the run ends and the last is told
 * then, so that nothing it uses is freed under it. The rows of a lane that has left are computed on with the rest and nobody
 * gets them. `shared` is disposed of with the last lane.
 */
export function denoiserLanes(shared: PicturesDenoiser, pictures: number): DenoiserLane[] {
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

/** Where lanes wait for each other. */
class Meeting {
  readonly #shared: PicturesDenoiser;
  readonly #pictures: number;
  readonly #open: Set<number>;
  #waiting = new Map<number, AnyWaiting>();
  /** Those whose run is under way. */
  #running: ReadonlyMap<number, AnyWaiting> | undefined;
  #prepared: Promise<void> | undefined;
  /** The picture whose forecasts were announced for all. */
  #leader: number | undefined;
  /** Of all pictures. */
  #latents: Float32Array | undefined;

  constructor(shared: PicturesDenoiser, pictures: number) {
    this.#shared = shared;
    this.#pictures = pictures;
    this.#open = new Set(Array.from({ length: pictures }, (_, picture) => picture));
  }

  /** Announces the first lane's forecasts for all of them; what others ask for besides is made when they do. */
  prepare(picture: number, forecasts: readonly PlannedForecasts[]): Promise<void> {
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
    const { signal: _, ...call } = first(asked).call;
    const length = call.latents.length;
    const latents = this.#latents ??= new Float32Array(this.#pictures * length);
    for (const [picture, { asked: { call } }] of asked) latents.set(call.latents, picture * length);
    const { output, forecastErrors } = await this.#shared.full({ ...call, latents, ...signal && { signal } });
    for (const [picture, { settle }] of asked) {
      settle.resolve({
        output: partOf(output, { picture, length }),
        ...forecastErrors && { forecastError: forecastErrors[picture]! },
      });
    }
  }

  async #forecast(
    asked: ReadonlyMap<number, Waiting<ForecastAsked>>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    // All lanes ask for the same calls. The arrays of the leader are the ones that were announced.
    const { calls, sums: common } = asked.get(this.#leader ?? -1)?.asked ?? first(asked);
    // Lanes with previews want other sums than those without; every sum is taken of all pictures, and once.
    const sums = new DistinctSums(calls.length);
    sums.indicesOf(common);
    const wanted = new Map(
      [...asked].map(([picture, { asked: { sums: own } }]) => [picture, sums.indicesOf(own)]),
    );
    const outputs = await this.#shared.forecast(calls, {
      sums: common?.length === sums.all.length ? common : sums.all,
      ...signal && { signal },
    });
    const length = outputs[0]!.length / this.#pictures;
    for (const [picture, { settle }] of asked) {
      settle.resolve(wanted.get(picture)!.map((index) => partOf(outputs[index]!, { picture, length })));
    }
  }
}

function areAll(kind: AnyWaiting["asked"]["kind"], asked: ReadonlyMap<number, AnyWaiting>): boolean {
  return [...asked.values()].every((waiting) => waiting.asked.kind === kind);
}

function first<Asked extends FullAsked | ForecastAsked>(asked: ReadonlyMap<number, Waiting<Asked>>): Asked {
  return asked.values().next().value!.asked;
}

function partOf(all: Float32Array, { picture, length }: { picture: number; length: number }): Float32Array {
  return all.subarray(picture * length, (picture + 1) * length);
}

/** Sums over the same calls, without those that are there already. */
class DistinctSums {
  readonly all: Float64Array[] = [];
  readonly #calls: number;

  constructor(calls: number) {
    this.#calls = calls;
  }

  /** @param sums undefined for every call by itself @returns where in `all` they are */
  indicesOf(sums: readonly Float64Array[] | undefined): number[] {
    return (sums ?? oneByOne(this.#calls)).map((weights) => {
      const known = this.all.findIndex((other) => other.every((weight, call) => weight === weights[call]));
      return known === -1 ? this.all.push(weights) - 1 : known;
    });
  }
}

/** Aborts once all of `signals` have; never if one is missing. */
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
