// The noise levels that a model was trained at, sqrt((1 - alphas_cumprod) / alphas_cumprod), and the way
// between them and timesteps: diffusers' np.interp and `_sigma_to_t`.

import { alphasCumprod, type NoiseScheduleConfig } from "./alphas_cumprod.ts";
import { numpyLog } from "../../numerics/numpy_log.ts";

/** Sigmas over the timesteps of training: float32 values, ascending. */
export class TrainingSigmas {
  readonly #sigmas: Float64Array;
  #logs: Float64Array | undefined;

  /**
   * @throws {TypeError} If the name of the schedule is unknown.
   * @throws {RangeError} If a number is outside its range.
   */
  constructor(config: NoiseScheduleConfig) {
    const alphas = alphasCumprod(config);
    // diffusers keeps the last one from 0, the smallest float16, for sigma would be infinite.
    if (config.rescaleBetasZeroSnr) alphas[alphas.length - 1] = 2 ** -24;
    this.#sigmas = alphas.map((alpha) => f32(Math.sqrt(f32(f32(1 - alpha) / alpha))));
  }

  /** Sigma of the first timestep. */
  get min(): number {
    return this.#sigmas[0]!;
  }

  /** Sigma of the last timestep. */
  get max(): number {
    return this.#sigmas.at(-1)!;
  }

  /** log(sigma) of each timestep, rounded as numpy does. */
  get logs(): Float64Array {
    return this.#logs ??= this.#sigmas.map(numpyLog);
  }

  /** Returns the sigma at a timestep, between two of training by linear interpolation. */
  at(timestep: number): number {
    const low = Math.floor(timestep);
    if (low < 0) return this.min;
    if (low >= this.#sigmas.length - 1) return this.max;
    const sigma = this.#sigmas[low]!;
    return (this.#sigmas[low + 1]! - sigma) * (timestep - low) + sigma;
  }

  /** Returns the timestep of a sigma, between two of training by linear interpolation of logarithms. */
  timestepOf(sigma: number): number {
    const logs = this.logs;
    const log = Math.log(Math.max(sigma, 1e-10));
    let low = logs.findLastIndex((value) => log >= value);
    low = Math.min(Math.max(low, 0), logs.length - 2);
    const share = (logs[low]! - log) / f32(logs[low]! - logs[low + 1]!);
    const high = Math.min(Math.max(share, 0), 1);
    return (1 - high) * low + high * (low + 1);
  }
}

const f32 = Math.fround;
