// Pictures that are made together: each goes its own way from prompt to noise, all meet before the first pass, and each goes on
// alone from its final latents.
import { abortable } from "@std/async/abortable";
import { type DenoiserLane, denoiserLanes, type PicturesDenoiser } from "./denoiser_lanes.ts";

/** Makes the network that all pictures of a batch share. */
export type MakePicturesDenoiser = (slots: number, timesteps: Float64Array) => PicturesDenoiser;

/** Makes what `runs` are fed and leaves it to `owned`. */
export type PreparePictures<Run> = (runs: readonly Run[], owned: DisposableStack) => MakePicturesDenoiser;

/** A picture's place in a batch. Given up (disposed of), the others wait for it no more, wherever it was. */
export interface BatchPlace extends Disposable {
  /** How many pictures run together; 0 before they have met. */
  readonly pictures: number;
  /**
   * Waits until every other place has come or was given up.
   * @param prepare as every picture of the batch would have it
   * @returns what makes this picture's lane, with the same arguments as the others'
   * @throws The signal's reason, once it is aborted.
   */
  join<Run>(
    run: Run,
    options: { prepare: PreparePictures<Run>; signal: AbortSignal | undefined },
  ): Promise<(slots: number, timesteps: Float64Array) => DenoiserLane>;
}

/** `count` places, for pictures of one size, plan and guidance. */
export function createBatch(count: number): BatchPlace[] {
  const batch = new Batch(count);
  return Array.from({ length: count }, () => new Place(batch));
}

class Place implements BatchPlace {
  readonly #batch: Batch;
  #joined = false;
  #left = false;

  constructor(batch: Batch) {
    this.#batch = batch;
  }

  get pictures(): number {
    return this.#batch.pictures;
  }

  async join<Run>(
    run: Run,
    { prepare, signal }: { prepare: PreparePictures<Run>; signal: AbortSignal | undefined },
  ): Promise<(slots: number, timesteps: Float64Array) => DenoiserLane> {
    this.#joined = true;
    this.#batch.come(this, { run, prepare: prepare as PreparePictures<unknown> });
    await (signal ? abortable(this.#batch.met, signal) : this.#batch.met);
    return (slots, timesteps) => this.#batch.lane(this, { slots, timesteps });
  }

  [Symbol.dispose](): void {
    if (this.#left) return;
    this.#left = true;
    if (this.#joined) this.#batch.leave(this);
    else this.#batch.missOneLess();
  }
}

interface Comer {
  run: unknown;
  prepare: PreparePictures<unknown>;
}

class Batch {
  /** Places that have neither come nor been given up. */
  #missing: number;
  /** Those that have come and not left, until all have met; then those that have met. */
  readonly #members = new Map<Place, Comer>();
  readonly #met = Promise.withResolvers<void>();
  readonly #owned = new DisposableStack();
  #make: MakePicturesDenoiser | undefined;
  #lanes: Map<Place, DenoiserLane> | undefined;
  readonly #left = new Set<Place>();

  constructor(count: number) {
    this.#missing = count;
    // It may fail when nobody waits any more.
    this.#met.promise.catch(() => {});
  }

  get met(): Promise<void> {
    return this.#met.promise;
  }

  get pictures(): number {
    return this.#make ? this.#members.size : 0;
  }

  come(place: Place, comer: Comer): void {
    this.#members.set(place, comer);
    this.missOneLess();
  }

  /** Of a place that has come or was given up. All meet once none is missing. */
  missOneLess(): void {
    const [first] = this.#members.values();
    if (--this.#missing > 0 || first === undefined) return;
    try {
      this.#make = first.prepare([...this.#members.values()].map(({ run }) => run), this.#owned);
      this.#met.resolve();
    } catch (cause) {
      this.#owned.dispose();
      this.#met.reject(cause);
    }
  }

  lane(place: Place, { slots, timesteps }: { slots: number; timesteps: Float64Array }): DenoiserLane {
    if (this.#lanes === undefined) {
      const denoiser = this.#owned.use(this.#make!(slots, timesteps));
      const lanes = denoiserLanes({
        full: (call) => denoiser.full(call),
        forecast: (calls, options) => denoiser.forecast(calls, options),
        prepare: (forecasts) => denoiser.prepare(forecasts),
        [Symbol.dispose]: () => this.#owned.dispose(),
      }, this.#members.size);
      this.#lanes = new Map([...this.#members.keys()].map((member, i) => [member, lanes[i]!]));
      for (const left of this.#left) this.#lanes.get(left)?.[Symbol.dispose]();
    }
    return this.#lanes.get(place)!;
  }

  leave(place: Place): void {
    if (this.#make === undefined) {
      this.#members.delete(place);
      return;
    }
    this.#left.add(place);
    if (this.#lanes) this.#lanes.get(place)?.[Symbol.dispose]();
    else if (this.#left.size === this.#members.size) this.#owned.dispose();
  }
}
