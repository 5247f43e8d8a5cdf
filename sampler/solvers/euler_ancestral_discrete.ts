// diffusers' EulerAncestralDiscreteScheduler (0.42.1): an Euler step down past the next
// sigma, then noise up to it.

import { NOISE_SCHEDULE_DEFAULTS, type NoiseScheduleConfig } from "./schedule/alphas_cumprod.ts";
import { assertChoice } from "../numerics/assert_choice.ts";
import { assertSolverOptions } from "./assert_solver_options.ts";
import { EulerSolver } from "./euler_solver.ts";
import { readSchedulerConfig } from "./schedule/read_scheduler_config.ts";
import { SIBLING_OPTIONS } from "./schedule/sibling_options.ts";
import type { SolverOptions } from "./solver.ts";
import type { SchedulerConfig } from "./schedule/read_scheduler_config.ts";
import { spaceTimesteps, type TimestepSpacingConfig } from "./schedule/timestep_spacing.ts";
import { TrainingSigmas } from "./schedule/training_sigmas.ts";

/** Every option that the class defines; diffusers documents them. */
export interface EulerAncestralDiscreteConfig extends NoiseScheduleConfig, TimestepSpacingConfig {
  predictionType: string;
  rescaleBetasZeroSnr: boolean;
}

const DEFAULTS: EulerAncestralDiscreteConfig = {
  ...NOISE_SCHEDULE_DEFAULTS,
  predictionType: "epsilon",
  timestepSpacing: "linspace",
  stepsOffset: 0,
  rescaleBetasZeroSnr: false,
};

/** A solver without memory that draws noise at each step, the last one included. */
export class EulerAncestralDiscrete extends EulerSolver {
  /** Always true. */
  readonly addsNoise = true;
  readonly #noise: (count: number) => Float32Array;

  /**
   * @throws {TypeError} If an option is unknown or has a wrong type or value, or `options` lack noise.
   * @throws {RangeError} If a number is outside its range.
   */
  constructor(config: SchedulerConfig, options: SolverOptions) {
    const read = readSchedulerConfig(config, {
      className: CLASS_NAME,
      defaults: DEFAULTS,
      optional: { trainedBetas: "array" },
      ignored: SIBLING_OPTIONS,
    });
    assertSolverOptions(options, { className: CLASS_NAME, needsNoise: true });
    const { predictionType, timestepSpacing } = read;
    assertChoice(predictionType, { name: "prediction_type", choices: ["epsilon", "v_prediction"] });
    const training = new TrainingSigmas(read);
    const timesteps = spaceTimesteps(read, { steps: options.steps, rounded: false }).map(f32);
    const sigmas = Float64Array.of(...timesteps.map((timestep) => f32(training.at(timestep))), 0);
    super({ timesteps, sigmas, timestepSpacing, predictionType });
    this.#noise = options.noise!;
  }

  override step(index: number, modelOutput: Float32Array, latents: Float32Array): void {
    const original = this.predictOriginal(index, modelOutput, latents);
    const sigma = this.sigmas[index]!;
    const next = this.sigmas[index + 1]!;
    const [variance, nextVariance] = [f32(sigma * sigma), f32(next * next)];
    const up = f32(Math.sqrt(f32(f32(nextVariance * f32(variance - nextVariance)) / variance)));
    const down = f32(Math.sqrt(f32(nextVariance - f32(up * up))));
    const dt = f32(down - sigma);
    const noise = this.#noise(latents.length);
    for (let i = 0; i < latents.length; i++) {
      const derivative = f32(f32(latents[i]! - original[i]!) / sigma);
      latents[i] = f32(latents[i]! + f32(derivative * dt)) + f32(noise[i]! * up);
    }
  }
}

const CLASS_NAME = "EulerAncestralDiscreteScheduler";
const f32 = Math.fround;
