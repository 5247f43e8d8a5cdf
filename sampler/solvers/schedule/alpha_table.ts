// Looks up `alphas_cumprod` as DDIM and PNDM do: at integer timesteps, and before the first one.

import { alphasCumprod, type NoiseScheduleConfig } from "./alphas_cumprod.ts";
import type { NoiseLevel } from "./noise_level.ts";

/** Options for the value before the first timestep. */
export interface AlphaTableConfig extends NoiseScheduleConfig {
  setAlphaToOne: boolean;
}

/** The original's share of the variance, by timestep. */
export class AlphaTable {
  readonly #alphas: Float64Array;
  readonly #final: number;

  /** @throws As {@linkcode alphasCumprod}. */
  constructor(config: AlphaTableConfig) {
    this.#alphas = alphasCumprod(config);
    this.#final = config.setAlphaToOne ? 1 : this.#alphas[0]!;
  }

  /** Returns a float32 value. A negative timestep gives the value of the final latents. */
  at(timestep: number): number {
    return timestep < 0 ? this.#final : this.#alphas[timestep]!;
  }

  /** Returns the noise level of the latents at a timestep. */
  levelAt(timestep: number): NoiseLevel {
    const share = this.at(timestep);
    return { alpha: Math.sqrt(share), sigma: Math.sqrt(Math.fround(1 - share)) };
  }

  /**
   * Returns the standard deviations of the noise in latents, [timesteps + 1]: at each of the timesteps, then
   * in the final latents.
   *
   * @throws {RangeError} If a timestep is none of training's.
   */
  sigmas(timesteps: Float64Array): Float64Array {
    const last = this.#alphas.length - 1;
    for (const timestep of timesteps) {
      if (!(timestep in this.#alphas)) {
        throw new RangeError(
          `Cannot create the solver as 'steps_offset' must keep timesteps in 0..${last}: ` +
            `current value is ${timestep}`,
        );
      }
    }
    const alphas = Float64Array.of(...timesteps.map((timestep) => this.at(timestep)), this.#final);
    return alphas.map((alpha) => Math.fround(Math.sqrt(Math.fround(1 - alpha))));
  }
}
