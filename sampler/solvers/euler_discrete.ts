// diffusers' EulerDiscreteScheduler (0.42.1), algorithm 2 of Karras et al. 2022 (arXiv 2206.00364) without
// churn, which diffusers' pipelines do not ask for.

import { NOISE_SCHEDULE_DEFAULTS, type NoiseScheduleConfig } from "./schedule/alphas_cumprod.ts";
import { assertChoice } from "../numerics/assert_choice.ts";
import { assertSolverOptions } from "./assert_solver_options.ts";
import { chosenSpacing, type SpacingFlags } from "./schedule/chosen_spacing.ts";
import { EulerSolver } from "./euler_solver.ts";
import { readSchedulerConfig } from "./schedule/read_scheduler_config.ts";
import { SIBLING_OPTIONS } from "./schedule/sibling_options.ts";
import { spaceSigmas } from "./schedule/sigma_spacing.ts";
import type { SolverGrid, SolverOptions } from "./solver.ts";
import type { SchedulerConfig } from "./schedule/read_scheduler_config.ts";
import { spaceTimesteps, type TimestepSpacingConfig } from "./schedule/timestep_spacing.ts";
import { torchLinspace } from "../numerics/torch_linspace.ts";
import { TrainingSigmas } from "./schedule/training_sigmas.ts";

/** Every option that the class defines; diffusers documents them. */
export interface EulerDiscreteConfig extends NoiseScheduleConfig, TimestepSpacingConfig, SpacingFlags {
  predictionType: string;
  interpolationType: string;
  sigmaMin: number | null;
  sigmaMax: number | null;
  timestepType: string;
  rescaleBetasZeroSnr: boolean;
  finalSigmasType: string;
}

const DEFAULTS: EulerDiscreteConfig = {
  ...NOISE_SCHEDULE_DEFAULTS,
  predictionType: "epsilon",
  interpolationType: "linear",
  useKarrasSigmas: false,
  useExponentialSigmas: false,
  useBetaSigmas: false,
  sigmaMin: null,
  sigmaMax: null,
  timestepSpacing: "linspace",
  timestepType: "discrete",
  stepsOffset: 0,
  rescaleBetasZeroSnr: false,
  finalSigmasType: "zero",
};

/** A solver without memory: each step depends on its own model output alone. */
export class EulerDiscrete extends EulerSolver {
  /**
   * @throws {TypeError} If an option is unknown or has a wrong type or value, or two
   * spacings are chosen at once.
   * @throws {RangeError} If a number is outside its range.
   */
  constructor(config: SchedulerConfig, options: SolverOptions) {
    const read = readConfig(config);
    assertSolverOptions(options, { className: CLASS_NAME });
    const predictionType = readPredictionType(read.predictionType);
    super({ ...makeGrid(read, options.steps), timestepSpacing: read.timestepSpacing, predictionType });
  }

  override step(index: number, modelOutput: Float32Array, latents: Float32Array): void {
    const original = this.predictOriginal(index, modelOutput, latents);
    const sigma = this.sigmas[index]!;
    const dt = f32(this.sigmas[index + 1]! - sigma);
    for (let i = 0; i < latents.length; i++) {
      const derivative = f32(f32(latents[i]! - original[i]!) / sigma);
      latents[i]! += f32(derivative * dt);
    }
  }
}

const CLASS_NAME = "EulerDiscreteScheduler";
const f32 = Math.fround;

function readConfig(config: SchedulerConfig): EulerDiscreteConfig {
  const read = readSchedulerConfig(config, {
    className: CLASS_NAME,
    defaults: DEFAULTS,
    optional: { trainedBetas: "array" },
    nullable: ["useKarrasSigmas", "useExponentialSigmas", "useBetaSigmas"],
    ignored: SIBLING_OPTIONS,
  });
  assertChoice(read.interpolationType, { name: "interpolation_type", choices: ["linear", "log_linear"] });
  assertChoice(read.timestepType, { name: "timestep_type", choices: ["discrete", "continuous"] });
  assertChoice(read.finalSigmasType, { name: "final_sigmas_type", choices: ["zero", "sigma_min"] });
  return read;
}

function readPredictionType(type: string): "epsilon" | "v_prediction" | "sample" {
  // Older configs write "original_sample".
  const name = type === "original_sample" ? "sample" : type;
  assertChoice(name, { name: "prediction_type", choices: ["epsilon", "v_prediction", "sample"] });
  return name;
}

/** diffusers' set_timesteps. */
function makeGrid(config: EulerDiscreteConfig, steps: number): SolverGrid {
  const training = new TrainingSigmas(config);
  const spacing = chosenSpacing(config);
  let timesteps: Float64Array = spaceTimesteps(config, { steps, rounded: false }).map(f32);
  let sigmas: Float64Array = config.interpolationType === "linear"
    ? timesteps.map((timestep) => training.at(timestep))
    : torchLinspace(training.logs.at(-1)!, training.logs[0]!, steps + 1).map((log) => f32(Math.exp(log)));
  if (spacing !== undefined) {
    const { sigmaMax, sigmaMin } = config;
    sigmas = spaceSigmas(spacing, {
      max: sigmaMax ?? sigmas[0]!,
      min: sigmaMin ?? sigmas.at(-1)!,
      count: steps,
    });
    timesteps = sigmas.map((sigma) => f32(training.timestepOf(sigma)));
  }
  const last = config.finalSigmasType === "zero" ? 0 : training.min;
  // Log-linear sigmas hold the end of the last step already: diffusers never gets to
  // what it puts behind that.
  sigmas = Float64Array.of(...sigmas, last).subarray(0, timesteps.length + 1).map(f32);
  if (config.timestepType === "continuous" && config.predictionType === "v_prediction") {
    timesteps = sigmas.subarray(0, -1).map((sigma) => f32(0.25 * f32(Math.log(sigma))));
  }
  return { timesteps, sigmas };
}
