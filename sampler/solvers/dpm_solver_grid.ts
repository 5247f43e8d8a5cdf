// Timesteps and sigmas of diffusers' DPMSolverMultistepScheduler (0.42.1): its set_timesteps.

import { chosenSpacing, type SpacingFlags } from "./schedule/chosen_spacing.ts";
import { roundHalfEven } from "../numerics/round_half_even.ts";
import type { NoiseScheduleConfig } from "./schedule/alphas_cumprod.ts";
import { linspace } from "../numerics/linspace.ts";
import { spaceSigmas } from "./schedule/sigma_spacing.ts";
import type { SolverGrid, SolverOptions } from "./solver.ts";
import { spaceTimesteps, type TimestepSpacingConfig } from "./schedule/timestep_spacing.ts";
import { TrainingSigmas } from "./schedule/training_sigmas.ts";

/** The options that make the grid. */
export interface DpmSolverGridConfig extends NoiseScheduleConfig, TimestepSpacingConfig, SpacingFlags {
  useLuLambdas: boolean | null;
  useFlowSigmas: boolean | null;
  flowShift: number;
  finalSigmasType: string;
  /** -Infinity where nothing is clipped. */
  lambdaMinClipped: number;
  useDynamicShifting: boolean;
  /** Ends of a spacing. */
  sigmaMin: number | null;
  sigmaMax: number | null;
}

/**
 * Returns timesteps and sigmas of DPMSolverMultistepScheduler.
 * @throws {TypeError} If a name is unknown, or several spacings are chosen.
 * @throws {RangeError} If a number is outside its range.
 */
export function dpmSolverGrid(config: DpmSolverGridConfig, options: SolverOptions): SolverGrid {
  const training = new TrainingSigmas(config);
  const { timesteps, sigmas } = spaceGrid(config, { training, options });
  const last = config.finalSigmasType === "zero" ? 0 : training.min;
  return { timesteps: timesteps.map(Math.trunc), sigmas: Float64Array.of(...sigmas, last).map(Math.fround) };
}

interface GridRun {
  training: TrainingSigmas;
  options: SolverOptions;
}

/** Float64; timesteps not yet truncated to integers, sigmas without the last. */
function spaceGrid(config: DpmSolverGridConfig, { training, options }: GridRun): SolverGrid {
  const { steps, mu } = options;
  const { numTrainTimesteps } = config;
  if (config.useFlowSigmas) {
    assertAlone(config, "use_flow_sigmas");
    const shift = config.useDynamicShifting && mu !== undefined ? Math.exp(mu) : config.flowShift;
    const sigmas = linspace(1, 1 / numTrainTimesteps, steps + 1).map((alpha) => 1 - alpha)
      .map((sigma) => shift * sigma / (1 + (shift - 1) * sigma)).subarray(1).reverse();
    return { timesteps: sigmas.map((sigma) => sigma * numTrainTimesteps), sigmas };
  }

  const spacing = chosenSpacing(config);
  if (spacing === undefined && !config.useLuLambdas) {
    const used = numTrainTimesteps - training.logs.filter((log) => -log < config.lambdaMinClipped).length;
    const timesteps = spaceTimesteps(config, { steps, withEnd: true, used });
    return { timesteps, sigmas: timesteps.map((timestep) => training.at(timestep)) };
  }

  let sigmas: Float64Array;
  if (spacing === undefined) {
    const [min, max] = [training.logs[0]!, training.logs.at(-1)!];
    sigmas = linspace(0, 1, steps).map((ramp) => Math.exp(max + ramp * (min - max)));
  } else {
    if (config.useLuLambdas) assertAlone(config, "use_lu_lambdas");
    const [max, min] = [config.sigmaMax ?? training.max, config.sigmaMin ?? training.min];
    sigmas = spaceSigmas(spacing, { max, min, count: steps });
  }
  const timesteps = sigmas.map((sigma) => training.timestepOf(sigma));
  const rounded = (spacing === undefined || spacing === "karras") &&
    config.betaSchedule !== "squaredcos_cap_v2";
  return { timesteps: rounded ? timesteps.map(roundHalfEven) : timesteps, sigmas };
}

/** diffusers would let one spacing win over another, or take sigmas above 1 for those of a flow. */
function assertAlone(config: DpmSolverGridConfig, name: string): void {
  const others = [chosenSpacing(config), name !== "use_lu_lambdas" && config.useLuLambdas && "lu"]
    .filter((spacing) => typeof spacing === "string");
  if (others.length === 0) return;
  throw new TypeError(
    `Cannot create the solver as '${name}' does not go with another spacing: current value is ${
      others.join(", ")
    }`,
  );
}
