// Averages the scalar products of normalised features over runs. A calibration needs nothing else of them.
import type { BranchProducts } from "../../../sampler/mod.ts";
import { Mt19937 } from "../../../sampler/numerics/mt19937.ts";
import type { StepFeature } from "../../pipeline/pipeline.ts";

/**
 * Most numbers that are kept of one branch's feature. Larger features are sampled: tokens that a seed
 * chooses, the same for all steps of a run, estimate the products without bias.
 */
const MAX_SAMPLES = 2 ** 19;
/** The head's layer norm has this epsilon or none. */
const EPSILON = 1e-6;

/**
 * Returns the bytes on the host while a run is recorded: one step's feature, and the samples of all steps.
 */
export function recordingBytes(
  { featureElements, branches, steps }: { featureElements: number; branches: number; steps: number },
): number {
  const samples = branches * Math.min(MAX_SAMPLES, featureElements / branches);
  return Float32Array.BYTES_PER_ELEMENT * (featureElements + steps * samples);
}

/** The products of one run, each [steps, steps], and the features' scale, [steps]. */
export interface RunProducts extends BranchProducts {
  norms: Float64Array;
}

/**
 * Collects the features of one run. It keeps samples alone: at most MAX_SAMPLES numbers a step and branch.
 */
export class RunFeatures {
  readonly #seed: number;
  #tokens: Uint32Array | undefined;
  /** Samples by branch, then by step. */
  readonly #samples: Float32Array[][] = [];
  readonly #norms: number[] = [];

  /** @param seed chooses the tokens */
  constructor(seed: number) {
    this.#seed = seed;
  }

  /** Adds the feature of the next step. */
  add({ data, branches, dims, channelsFirst }: StepFeature): void {
    const channels = channelsFirst ? dims[0]! : dims.at(-1)!;
    const length = data.length / branches;
    const places = length / channels;
    const tokens = this.#tokens ??= chooseTokens(places, {
      count: Math.max(1, Math.min(places, Math.floor(MAX_SAMPLES / channels))),
      seed: this.#seed,
    });
    let norm = 0;
    for (let branch = 0; branch < branches; branch++) {
      const feature = data.subarray(branch * length, (branch + 1) * length);
      const { values, scale } = channelsFirst
        ? normaliseWhole(gatherFirst(feature, { tokens, channels, places }))
        : normaliseTokens(gatherLast(feature, { tokens, channels }), channels);
      (this.#samples[branch] ??= []).push(values);
      norm += scale / branches;
    }
    this.#norms.push(norm);
  }

  /** Returns the run's products. */
  products(): RunProducts {
    const [conditional, unconditional] = this.#samples as [Float32Array[], Float32Array[] | undefined];
    return {
      norms: Float64Array.from(this.#norms),
      conditional: productsOf(conditional, conditional),
      ...unconditional && {
        unconditional: productsOf(unconditional, unconditional),
        cross: symmetrised(productsOf(conditional, unconditional)),
      },
    };
  }
}

/** Returns the mean of runs' products. */
export function meanProducts(runs: readonly RunProducts[]): RunProducts {
  const mean = (of: (run: RunProducts) => Float64Array) =>
    of(runs[0]!).map((_, i) => runs.reduce((sum, run) => sum + of(run)[i]!, 0) / runs.length);
  return {
    norms: mean(({ norms }) => norms),
    conditional: mean(({ conditional }) => conditional),
    ...runs[0]!.unconditional && {
      unconditional: mean(({ unconditional }) => unconditional!),
      cross: mean(({ cross }) => cross!),
    },
  };
}

/** Draws `count` of `places` without repetition, ascending. */
function chooseTokens(places: number, { count, seed }: { count: number; seed: number }): Uint32Array {
  const all = Uint32Array.from({ length: places }, (_, i) => i);
  if (count === places) return all;
  const random = new Mt19937(seed);
  for (let i = 0; i < count; i++) {
    const j = i + random.next() % (places - i);
    [all[i], all[j]] = [all[j]!, all[i]!];
  }
  return all.slice(0, count).sort();
}

function gatherLast(
  feature: Float32Array,
  { tokens, channels }: { tokens: Uint32Array; channels: number },
): Float32Array {
  const values = new Float32Array(tokens.length * channels);
  for (const [i, token] of tokens.entries()) {
    values.set(feature.subarray(token * channels, (token + 1) * channels), i * channels);
  }
  return values;
}

function gatherFirst(
  feature: Float32Array,
  { tokens, channels, places }: { tokens: Uint32Array; channels: number; places: number },
): Float32Array {
  const values = new Float32Array(tokens.length * channels);
  for (let channel = 0; channel < channels; channel++) {
    for (let i = 0; i < tokens.length; i++) {
      values[channel * tokens.length + i] = feature[channel * places + tokens[i]!]!;
    }
  }
  return values;
}

interface Normalised {
  /** The feature, scaled to unit length. */
  values: Float32Array;
  /** Root mean square before. */
  scale: number;
}

/** Normalises in place, as the layer norm before a transformer's projection sees each token. */
function normaliseTokens(values: Float32Array, channels: number): Normalised {
  const tokens = values.length / channels;
  const unit = 1 / Math.sqrt(values.length);
  let total = 0;
  for (let token = 0; token < tokens; token++) {
    const row = values.subarray(token * channels, (token + 1) * channels);
    let mean = 0;
    for (const value of row) mean += value;
    mean /= channels;
    let variance = 0;
    for (const value of row) variance += (value - mean) ** 2;
    const deviation = Math.sqrt(variance / channels + EPSILON);
    total += deviation / tokens;
    for (let i = 0; i < channels; i++) row[i] = (row[i]! - mean) * unit / deviation;
  }
  return { values, scale: total };
}

/**
 * Normalises in place, as the group norm before a UNet's last convolution sees a feature, up to its groups.
 */
function normaliseWhole(values: Float32Array): Normalised {
  let squares = 0;
  for (const value of values) squares += value ** 2;
  const scale = Math.sqrt(squares / values.length + EPSILON);
  const factor = 1 / (scale * Math.sqrt(values.length));
  for (let i = 0; i < values.length; i++) values[i]! *= factor;
  return { values, scale };
}

function productsOf(a: readonly Float32Array[], b: readonly Float32Array[]): Float64Array {
  const steps = a.length;
  const products = new Float64Array(steps ** 2);
  for (let s = 0; s < steps; s++) {
    for (let t = 0; t < steps; t++) {
      if (a === b && t < s) products[s * steps + t] = products[t * steps + s]!;
      else products[s * steps + t] = dot(a[s]!, b[t]!);
    }
  }
  return products;
}

function dot(x: Float32Array, y: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!;
  return sum;
}

function symmetrised(matrix: Float64Array): Float64Array {
  const size = Math.sqrt(matrix.length);
  return matrix.map((value, k) => (value + matrix[(k % size) * size + Math.floor(k / size)]!) / 2);
}
