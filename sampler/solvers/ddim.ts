// diffusers' DDIMScheduler (0.42.1): Song et al. 2021 (arXiv 2010.02502), formula 12 with eta 0, as
// diffusers' pipelines call it unless asked.

import { addNoise } from "./add_noise.ts";
import { NOISE_SCHEDULE_DEFAULTS } from "./schedule/alphas_cumprod.ts";
import { assertChoice } from "../numerics/assert_choice.ts";
import { assertSolverOptions } from "./assert_solver_options.ts";
import { assertSolverStep } from "./assert_solver_step.ts";
import { readSchedulerConfig } from "./schedule/read_scheduler_config.ts";
import { refuseOption } from "./schedule/refuse_option.ts";
import { SIBLING_OPTIONS } from "./schedule/sibling_options.ts";
import { AlphaTable, type AlphaTableConfig } from "./schedule/alpha_table.ts";
import { convertModelOutput } from "./convert_model_output.ts";
import { linearCombination } from "../numerics/linear_combination.ts";
import type { Solver, SolverOptions } from "./solver.ts";
import type { SchedulerConfig } from "./schedule/read_scheduler_config.ts";
import { spaceTimesteps, type TimestepSpacingConfig } from "./schedule/timestep_spacing.ts";

/** Every option that the class defines; diffusers documents them. */
export interface DdimConfig extends AlphaTableConfig, TimestepSpacingConfig {
  clipSample: boolean;
  predictionType: string;
  thresholding: boolean;
  dynamicThresholdingRatio: number;
  clipSampleRange: number;
  sampleMaxValue: number;
  rescaleBetasZeroSnr: boolean;
}

const DEFAULTS: DdimConfig = {
  ...NOISE_SCHEDULE_DEFAULTS,
  clipSample: true,
  setAlphaToOne: true,
  stepsOffset: 0,
  predictionType: "epsilon",
  thresholding: false,
  dynamicThresholdingRatio: 0.995,
  clipSampleRange: 1,
  sampleMaxValue: 1,
  timestepSpacing: "leading",
  rescaleBetasZeroSnr: false,
};

/** A solver without memory: each step depends on its own model output alone. */
export class Ddim implements Solver {
  readonly timesteps: Float64Array;
  readonly sigmas: Float64Array;
  readonly initNoiseSigma = 1;
  readonly #alphas: AlphaTable;
  /** Distance between timesteps. Some spacings only come near to it. */
  readonly #stride: number;
  readonly #predictionType: "epsilon" | "sample" | "v_prediction";
  readonly #clip: number;

  /**
   * @throws {TypeError} If an option is unknown, unsupported or has a wrong type or value.
   * @throws {RangeError} If a number is outside its range.
   */
  constructor(config: SchedulerConfig, options: SolverOptions) {
    const read = readSchedulerConfig(config, {
      className: CLASS_NAME,
      defaults: DEFAULTS,
      optional: { trainedBetas: "array" },
      ignored: SIBLING_OPTIONS,
    });
    assertSolverOptions(options, { className: CLASS_NAME });
    const { predictionType, numTrainTimesteps } = read;
    assertChoice(predictionType, {
      name: "prediction_type",
      choices: ["epsilon", "sample", "v_prediction"],
    });
    if (read.thresholding) {
      refuseOption({ className: CLASS_NAME, name: "thresholding", reason: "it is unsuitable for latents" });
    }
    this.#predictionType = predictionType;
    this.#clip = read.clipSample ? read.clipSampleRange : Infinity;
    this.#alphas = new AlphaTable(read);
    this.timesteps = spaceTimesteps(read, { steps: options.steps });
    this.sigmas = this.#alphas.sigmas(this.timesteps);
    this.#stride = Math.floor(numTrainTimesteps / options.steps);
  }

  addNoise(index: number, original: Float32Array, noise: Float32Array): Float32Array<ArrayBuffer> {
    return addNoise(this, { index, original, noise, ...this.#alphas.levelAt(this.timesteps[index]!) });
  }

  scaleModelInput(_index: number, latents: Float32Array): Float32Array {
    return latents;
  }

  step(index: number, modelOutput: Float32Array, latents: Float32Array): void {
    const original = this.predictOriginal(index, modelOutput, latents);
    const prediction = { ...this.#alphas.levelAt(this.timesteps[index]!), modelOutput, latents };
    const epsilon = convertModelOutput("epsilon", { ...prediction, predictionType: this.#predictionType });
    const next = this.#alphas.levelAt(this.timesteps[index]! - this.#stride);
    latents.set(linearCombination([[next.alpha, original], [next.sigma, epsilon]]));
  }

  predictOriginal(index: number, modelOutput: Float32Array, latents: Float32Array): Float32Array {
    assertSolverStep(this, { index, modelOutput, latents });
    const level = this.#alphas.levelAt(this.timesteps[index]!);
    const predictionType = this.#predictionType;
    const original = convertModelOutput("original", { ...level, predictionType, modelOutput, latents });
    const clip = this.#clip;
    if (clip !== Infinity) {
      for (let i = 0; i < original.length; i++) original[i] = Math.min(Math.max(original[i]!, -clip), clip);
    }
    return original;
  }

  reset(): void {}
}

const CLASS_NAME = "DDIMScheduler";
