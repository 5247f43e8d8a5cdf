// Pictures that are made together. Each one prepares its prompt and noise alone. All meet before the first
// full pass, and each goes on alone from its final latents.
import { abortable } from "@std/async/abortable";
import { type DenoiserLane, denoiserLanes, type PicturesDenoiser } from "./denoiser_lanes.ts";

/** Creates the network that all pictures of a batch share. */
export type MakePicturesDenoiser = (slots: number, timesteps: Float64Array) => PicturesDenoiser;

/** Creates the denoiser's inputs for `runs`; `owned` owns them. */
export type PreparePictures<Run> = (runs: readonly Run[], owned: DisposableStack) => MakePicturesDenoiser;

/** One picture's place in a picture batch. Disposing of it releases the pictures that wait for it. */
export interface BatchPlace extends Disposable {
  /** Number of pictures that run together; 0 until they have met. */
  readonly pictures: number;
  /**
   * Waits until every other place has joined or was disposed of.
   * @param prepare must do the same for every picture of the batch
   * @returns a function that creates this picture's lane; all pictures must pass it the same arguments
   * @throws the signal's reason, once it is aborted.
   */
  join<Run>(
    run: Run,
    options: { prepare: PreparePictures<Run>; signal: AbortSignal | undefined },
  ): Promise<(slots: number, timesteps: Float64Array) => DenoiserLane>;
}

/** Creates the `count` places of a picture batch. Its pictures share size, step plan and guidance. */
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
  /** Number of places that have neither joined nor been disposed of. */
  #missing: number;
  /** The places that have joined. Places that leave before all have met are removed; later ones stay. */
  readonly #members = new Map<Place, Comer>();
  readonly #met = Promise.withResolvers<void>();
  /** Owns the network and its inputs. */
  #owned = new DisposableStack();
  #make: MakePicturesDenoiser | undefined;
  #lanes: Map<Place, DenoiserLane> | undefined;
  readonly #left = new Set<Place>();

  constructor(count: number) {
    this.#missing = count;
    // The meeting may fail after everybody has stopped waiting. Without a handler that would end the process.
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

  /** Counts one place as joined or disposed of. When none is missing, all meet. */
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
      let denoiser = this.#owned.use(this.#make!(slots, timesteps));
      let comers = [...this.#members.values()];
      /** Opens a network for these pictures alone, which goes on with what this one has. */
      const narrow = async (places: readonly number[]) => {
        const kept = places.map((place) => comers[place]!);
        using owned = new DisposableStack();
        const make = kept[0]!.prepare(kept.map(({ run }) => run), owned);
        const next = owned.use(make(slots, timesteps));
        await next.adopt!(denoiser, places);
        this.#owned.dispose();
        this.#owned = owned.move();
        [denoiser, comers] = [next, kept];
      };
      const lanes = denoiserLanes({
        full: (call) => denoiser.full(call),
        forecast: (calls, options) => denoiser.forecast(calls, options),
        prepare: (forecasts) => denoiser.prepare(forecasts),
        ...denoiser.adopt && { narrow },
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
