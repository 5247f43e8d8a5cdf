// What a run feeds to trunk and head besides the history: made once, latents and timesteps overwritten at each step.
import type { Runtime, Tensor } from "../runtime/mod.ts";

export interface BranchFeedsOptions {
  /** Rows that run together: 2 under classifier-free guidance, else 1. */
  branches: number;
  /** The trunk's input that takes the latents, and the shape of one row of it. */
  latents: { name: string; dims: readonly number[] };
  /** From the solver's timestep to the network's. @default as it is */
  timestep?: (timestep: number) => number;
  /** Other inputs of the trunk alone, by name. */
  trunk: Record<string, BranchRows>;
  /** Inputs of the trunk that all rows share, by name. @default none */
  shared?: Record<string, HostTensor>;
  /** Inputs of trunk and head besides the timestep, by name. */
  conditioning: Record<string, BranchRows>;
  /** Inputs of the modulation alone, by name. @default none */
  modulation?: Record<string, BranchRows>;
}

/** An input with a row for each branch. */
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

/** Owns the tensors; the feeds it returns are valid until the next call of the same method. */
export class BranchFeeds implements Disposable {
  /** Rows that run together. */
  readonly branches: number;
  readonly #runtime: Runtime;
  readonly #options: BranchFeedsOptions;
  readonly #stack = new DisposableStack();
  readonly #latents: Float32Array<ArrayBuffer>;
  readonly #trunk: Feeds;
  readonly #trunkRows: Rows;
  readonly #headRows = new Map<number, Rows>();
  readonly #conditioning: Feeds;

  constructor(runtime: Runtime, options: BranchFeedsOptions) {
    this.#runtime = runtime;
    this.#options = options;
    const { branches, latents: { name, dims }, trunk, shared = {} } = options;
    this.branches = branches;
    this.#latents = new Float32Array(dims.reduce((product, dim) => product * dim, branches));
    this.#conditioning = mapValues(options.conditioning, (input) => this.#repeat(input, 1));
    this.#trunkRows = this.#timestepRows(1, this.#conditioning);
    this.#trunk = {
      ...this.#trunkRows.feeds,
      [name]: this.#tensor([branches, ...dims], this.#latents),
      ...mapValues(trunk, (input) => this.#repeat(input, 1)),
      ...mapValues(shared, ({ dims, data }) => this.#tensor(dims, data)),
    };
  }

  /** @param latents one row, repeated for each branch @param timestep the solver's */
  trunk(latents: Float32Array, timestep: number): Feeds {
    for (let at = 0; at < this.#latents.length; at += latents.length) this.#latents.set(latents, at);
    this.#write(this.#trunkRows, [timestep]);
    return this.#trunk;
  }

  /** @param timesteps the solver's, one a step @returns timesteps * branches rows, step-major */
  head(timesteps: readonly number[]): Feeds {
    const steps = timesteps.length;
    let rows = this.#headRows.get(steps);
    if (rows === undefined) {
      const repeated = mapValues(this.#options.conditioning, (input) => this.#repeat(input, steps));
      this.#headRows.set(steps, rows = this.#timestepRows(steps, repeated));
    }
    this.#write(rows, timesteps);
    return rows.feeds;
  }

  /** @param timesteps the solver's, one a step @returns a timestep for each of them, the rest once for each branch */
  modulation(timesteps: ArrayLike<number>): Feeds {
    const { timestep: scale = (timestep) => timestep, modulation = {} } = this.#options;
    const scaled = Float32Array.from(timesteps, (timestep) => scale(timestep));
    const own = mapValues(modulation, (input) => this.#repeat(input, 1));
    return { ...this.#conditioning, ...own, timestep: this.#tensor([scaled.length], scaled) };
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }

  #timestepRows(steps: number, conditioning: Feeds): Rows {
    const timesteps = new Float32Array(steps * this.branches);
    return { timesteps, feeds: { ...conditioning, timestep: this.#tensor([timesteps.length], timesteps) } };
  }

  #write(rows: Rows, timesteps: readonly number[]): void {
    const { branches, timestep: scale = (timestep) => timestep } = this.#options;
    for (const [i, timestep] of timesteps.entries()) {
      rows.timesteps.fill(scale(timestep), i * branches, (i + 1) * branches);
    }
  }

  /** The rows of all branches, once for each of so many steps. */
  #repeat({ dims, rows }: BranchRows, steps: number): Tensor {
    const length = dims.reduce((product, dim) => product * dim, 1);
    const data = new Float32Array(steps * rows.length * length);
    for (let i = 0; i < steps * rows.length; i++) data.set(rows[i % rows.length]!, i * length);
    return this.#tensor([steps * rows.length, ...dims], data);
  }

  #tensor(dims: readonly number[], data: Float32Array<ArrayBuffer>): Tensor {
    return this.#stack.use(this.#runtime.tensor("float32", dims, data));
  }
}

interface Rows {
  /** The memory of the feed "timestep". */
  timesteps: Float32Array<ArrayBuffer>;
  feeds: Feeds;
}

function mapValues<T, U>(record: Record<string, T>, map: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]));
}
