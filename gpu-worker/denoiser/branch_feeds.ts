// The inputs of a run's trunk and modulation, except the history. They
// are created once; each step overwrites latents and timesteps.
import type { Runtime, Tensor } from "../runtime/mod.ts";
import { joinRows } from "./combine_rows.ts";

export interface BranchFeedsOptions {
  /** Rows of one call: the branches of each picture (2 under classifier-free guidance, else 1). */
  rows: number;
  /** Name of the trunk's latents input, and the shape of one of its rows. */
  latents: {
    name: string;
    dims: readonly number[];
    /**
     * Values of each row behind the latents, the same at every step: the tokens of references. They
     * lengthen the first of `dims`. @default none
     */
    behind?: readonly (readonly Float32Array[])[];
  };
  /**
   * Given first frames of a video, of latents [channels, frames, ...]. The timestep is then [rows, frames].
   * @default every timestep is of a whole row
   */
  held?: HeldFrames;
  /** Converts the solver's timestep to the network's. @default no conversion */
  timestep?: (timestep: number) => number;
  /** Other inputs that only the trunk has, by name. */
  trunk: Record<string, BranchRows>;
  /** Inputs of the trunk that have no row dimension, by name. @default none */
  shared?: Record<string, HostTensor>;
  /** Inputs, by name, that trunk and modulation share, except the timestep. */
  conditioning: Record<string, BranchRows>;
  /** Inputs that only the modulation has, by name. @default none */
  modulation?: Record<string, BranchRows>;
}

/** First frames of a video that are given. The network sees them as they are, at timestep 0. */
export interface HeldFrames {
  /** Frames of the latents. */
  frames: number;
  /** The given latents of each row, [channels, their frames, ...]; undefined if a row has none. */
  rows: readonly (Float32Array | undefined)[];
  /** Whether the network knows by itself which frames are given, so that its timestep is [rows]. */
  areKnown?: boolean;
}

/** An input with a row for each branch of each picture. */
export interface BranchRows {
  /** Shape of one row. */
  dims: readonly number[];
  rows: readonly Float32Array[];
}

export interface HostTensor {
  dims: readonly number[];
  data: Float32Array<ArrayBuffer>;
}

type Feeds = Record<string, Tensor>;

/** Creates and owns the input tensors. Returned feeds are valid until the same method is called again. */
export class BranchFeeds implements Disposable {
  readonly #rowCount: number;
  readonly #runtime: Runtime;
  readonly #options: BranchFeedsOptions;
  readonly #stack = new DisposableStack();
  readonly #latents: Float32Array<ArrayBuffer>;
  /** Elements of one row's latents, without the values behind them. */
  readonly #length: number;
  readonly #trunk: Feeds;
  /** Memory behind the trunk's timestep tensor. */
  readonly #timesteps: Float32Array<ArrayBuffer>;
  readonly #conditioning: Feeds;

  constructor(runtime: Runtime, options: BranchFeedsOptions) {
    this.#runtime = runtime;
    this.#options = options;
    const { rows, latents: { name, dims: [first = 1, ...others], behind = [] }, trunk, shared = {} } =
      options;
    this.#rowCount = rows;
    const width = others.reduce((product, dim) => product * dim, 1);
    const extra = (behind[0] ?? []).reduce((sum, values) => sum + values.length, 0);
    this.#length = first * width;
    this.#latents = new Float32Array(rows * (this.#length + extra));
    for (const [row, parts] of behind.entries()) {
      let at = row * (this.#length + extra) + this.#length;
      for (const values of parts) {
        this.#latents.set(values, at);
        at += values.length;
      }
    }
    const dims = [first + extra / width, ...others];
    const { held } = options;
    const steps = held && !held.areKnown ? [rows, held.frames] : [rows];
    this.#timesteps = new Float32Array(steps.reduce((product, dim) => product * dim, 1));
    this.#conditioning = mapValues(options.conditioning, (input) => this.#rows(input));
    this.#trunk = {
      ...this.#conditioning,
      timestep: this.#tensor(steps, this.#timesteps),
      [name]: this.#tensor([rows, ...dims], this.#latents),
      ...mapValues(trunk, (input) => this.#rows(input)),
      ...mapValues(shared, ({ dims, data }) => this.#tensor(dims, data)),
    };
  }

  /**
   * Returns the trunk's inputs for one step.
   * @param latents the latents of all pictures; each picture's are repeated for each of its branches
   * @param timestep the solver's timestep
   */
  trunk(latents: Float32Array, timestep: number): Feeds {
    const stride = this.#latents.length / this.#rowCount;
    const branches = this.#rowCount * this.#length / latents.length;
    for (let row = 0; row < this.#rowCount; row++) {
      const start = Math.floor(row / branches) * this.#length;
      this.#latents.set(latents.subarray(start, start + this.#length), row * stride);
    }
    this.#timesteps.fill(this.#scale(timestep));
    this.#hold();
    return this.#trunk;
  }

  /** Writes the given frames over the latents, and their timestep. */
  #hold(): void {
    const { held, latents: { dims } } = this.#options;
    if (held === undefined) return;
    const length = this.#latents.length / this.#rowCount;
    for (const [row, given] of held.rows.entries()) {
      if (given === undefined) continue;
      const latents = this.#latents.subarray(row * length, (row + 1) * length);
      const count = holdFrames(latents, { given, channels: dims[0]!, frames: held.frames });
      if (!held.areKnown) this.#timesteps.fill(0, row * held.frames, row * held.frames + count);
    }
  }

  /**
   * Returns the modulation's inputs for all steps.
   * @param timesteps the solver's timesteps, one for each step
   * @returns one timestep for each step; other inputs have one row for each branch
   */
  modulation(timesteps: ArrayLike<number>): Feeds {
    const scaled = Float32Array.from(timesteps, (timestep) => this.#scale(timestep));
    const own = mapValues(this.#options.modulation ?? {}, (input) => this.#rows(input));
    return { ...this.#conditioning, ...own, timestep: this.#tensor([scaled.length], scaled) };
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }

  #scale(timestep: number): number {
    return this.#options.timestep?.(timestep) ?? timestep;
  }

  #rows({ dims, rows }: BranchRows): Tensor {
    return this.#tensor([rows.length, ...dims], joinRows(rows));
  }

  #tensor(dims: readonly number[], data: Float32Array<ArrayBuffer>): Tensor {
    return this.#stack.use(this.#runtime.tensor("float32", dims, data));
  }
}

/**
 * Writes `given`, the first frames of [channels, frames, ...], over those of `latents`.
 * @returns the number of given frames
 */
export function holdFrames(
  latents: Float32Array,
  { given, channels, frames }: { given: Float32Array; channels: number; frames: number },
): number {
  const [plane, part] = [latents.length / channels, given.length / channels];
  for (let channel = 0; channel < channels; channel++) {
    latents.set(given.subarray(channel * part, (channel + 1) * part), channel * plane);
  }
  return part / (plane / frames);
}

function mapValues<T, U>(record: Record<string, T>, map: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}
