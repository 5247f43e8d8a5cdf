// Timesteps and sigmas of diffusers' UniPCMultistepScheduler (0.42.1): its set_timesteps.

import { chosenSpacing, type SpacingFlags } from "./schedule/chosen_spacing.ts";
import { roundHalfEven } from "../numerics/round_half_even.ts";
import type { NoiseScheduleConfig } from "./schedule/alphas_cumprod.ts";
import { linspace } from "../numerics/linspace.ts";
import { spaceSigmas } from "./schedule/sigma_spacing.ts";
import type { SolverGrid, SolverOptions } from "./solver.ts";
import { spaceTimesteps, type TimestepSpacingConfig } from "./schedule/timestep_spacing.ts";
import { TrainingSigmas } from "./schedule/training_sigmas.ts";

/** The options that make the grid. */
export interface UniPCGridConfig extends NoiseScheduleConfig, TimestepSpacingConfig, SpacingFlags {
  useFlowSigmas: boolean | null;
  flowShift: number;
  finalSigmasType: string;
  useDynamicShifting: boolean;
  timeShiftType: string;
  /** Ends of a spacing. */
  sigmaMin: number | null;
  sigmaMax: number | null;
  shiftTerminal: number | null;
}

/**
 * Returns timesteps and sigmas of UniPCMultistepScheduler.
 * @throws {TypeError} If options do not go together, or `options` lack the `mu` of dynamic shifting.
 * @throws {RangeError} If a number is outside its range.
 */
export function unipcGrid(config: UniPCGridConfig, options: SolverOptions): SolverGrid {
  const training = new TrainingSigmas(config);
  const { timesteps, sigmas } = spaceGrid(config, { training, options });
  // Only the grid of training's own timesteps ends at training's first sigma.
  const own = chosenSpacing(config) === undefined && !config.useFlowSigmas;
  const min = own ? training.min : sigmas.at(-1)!;
  const last = config.finalSigmasType === "zero" ? 0 : min;
  return { timesteps: timesteps.map(Math.trunc), sigmas: Float64Array.of(...sigmas, last).map(Math.fround) };
}

interface GridRun {
  training: TrainingSigmas;
  options: SolverOptions;
}

/** Float64; timesteps not yet truncated to integers, sigmas without the last. */
function spaceGrid(config: UniPCGridConfig, { training, options }: GridRun): SolverGrid {
  const { steps } = options;
  const spacing = chosenSpacing(config);
  if (spacing === undefined) {
    if (config.useFlowSigmas) return onTimesteps(shiftedFlow(config, options), config);
    const timesteps = spaceTimesteps(config, { steps, withEnd: true });
    return { timesteps, sigmas: timesteps.map((timestep) => training.at(timestep)) };
  }

  const [max, min] = [config.sigmaMax ?? training.max, config.sigmaMin ?? training.min];
  const sigmas = spaceSigmas(spacing, { max, min, count: steps });
  if (config.useFlowSigmas) {
    if (spacing === "karras") return onTimesteps(sigmas.map((sigma) => sigma / (sigma + 1)), config);
    // diffusers would take sigmas above 1 for those of a flow.
    throw new TypeError(
      "Cannot create the solver as 'use_flow_sigmas' goes with no spacing but karras: " +
        `current value is ${spacing}`,
    );
  }
  const timesteps = sigmas.map((sigma) => training.timestepOf(sigma));
  return { timesteps: spacing === "karras" ? timesteps.map(roundHalfEven) : timesteps, sigmas };
}

function onTimesteps(sigmas: Float64Array, { numTrainTimesteps }: UniPCGridConfig): SolverGrid {
  return { timesteps: sigmas.map((sigma) => sigma * numTrainTimesteps), sigmas };
}

function shiftedFlow(config: UniPCGridConfig, options: SolverOptions): Float64Array {
  const { flowShift: shift, shiftTerminal } = config;
  const spaced = linspace(1, 1 / config.numTrainTimesteps, options.steps + 1).subarray(0, -1);
  let sigmas = options.sigmas === undefined ? spaced : Float64Array.from(options.sigmas);
  if (sigmas.length !== options.steps) {
    throw new RangeError(
      `Cannot create the solver as 'sigmas' must hold ${options.steps} values: ` +
        `current length is ${sigmas.length}`,
    );
  }
  if (config.useDynamicShifting) {
    const strength = config.timeShiftType === "exponential" ? Math.exp(options.mu!) : options.mu!;
    sigmas = sigmas.map((sigma) => strength / (strength + (1 / sigma - 1)));
  } else {
    sigmas = sigmas.map((sigma) => shift * sigma / (1 + (shift - 1) * sigma));
  }
  // Zero counts as absent there, too. A run of one step has no grid to stretch: diffusers divides by zero.
  if (shiftTerminal && sigmas.at(-1) !== 1) {
    const scale = (1 - sigmas.at(-1)!) / (1 - shiftTerminal);
    sigmas = sigmas.map((sigma) => 1 - (1 - sigma) / scale);
  }
  // At a sigma of 1, alpha would be 0 and lambda infinite.
  if (Math.abs(sigmas[0]! - 1) < 1e-6) sigmas[0]! -= 1e-6;
  return sigmas;
}
