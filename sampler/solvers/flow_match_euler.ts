// diffusers' FlowMatchEulerDiscreteScheduler (0.42.1): Euler steps along a rectified flow, sample
// + dt * velocity. Sigmas are rounded where numpy and torch round them there, so that grids and
// steps equal it bit for bit.

import { addNoise } from "./add_noise.ts";
import { assertChoice } from "../numerics/assert_choice.ts";
import { assertNumber } from "../numerics/assert_number.ts";
import { assertSolverStep } from "./assert_solver_step.ts";
import { chosenSpacing } from "./schedule/chosen_spacing.ts";
import { readSchedulerConfig } from "./schedule/read_scheduler_config.ts";
import { calculateShift } from "./schedule/calculate_shift.ts";
import { linspace } from "../numerics/linspace.ts";
import { spaceSigmas } from "./schedule/sigma_spacing.ts";
import type { Solver, SolverOptions } from "./solver.ts";
import type { SchedulerConfig } from "./schedule/read_scheduler_config.ts";

/** Every option that the class defines; diffusers documents them. */
export interface FlowMatchEulerConfig {
  numTrainTimesteps: number;
  shift: number;
  useDynamicShifting: boolean;
  baseShift: number | null;
  maxShift: number | null;
  baseImageSeqLen: number;
  maxImageSeqLen: number;
  invertSigmas: boolean;
  shiftTerminal: number | null;
  useKarrasSigmas: boolean;
  useExponentialSigmas: boolean;
  useBetaSigmas: boolean;
  timeShiftType: string;
  stochasticSampling: boolean;
}

const DEFAULTS: FlowMatchEulerConfig = {
  numTrainTimesteps: 1000,
  shift: 1,
  useDynamicShifting: false,
  baseShift: 0.5,
  maxShift: 1.15,
  baseImageSeqLen: 256,
  maxImageSeqLen: 4096,
  invertSigmas: false,
  shiftTerminal: null,
  useKarrasSigmas: false,
  useExponentialSigmas: false,
  useBetaSigmas: false,
  timeShiftType: "exponential",
  stochasticSampling: false,
};

/** A solver without memory: each step depends on its own model output alone. */
export class FlowMatchEuler implements Solver {
  readonly timesteps: Float64Array;
  readonly sigmas: Float64Array;
  readonly initNoiseSigma = 1;
  readonly #noise: ((count: number) => Float32Array) | undefined;

  /**
   * @throws {TypeError} If an option is unknown or has a wrong type, if two spacings are chosen at once, or
   * if `options` lack a number that dynamic shifting or stochastic sampling need.
   * @throws {RangeError} If a number is outside its range.
   */
  constructor(config: SchedulerConfig, options: SolverOptions) {
    const read = readConfig(config);
    assertNumber(options.steps, { action, name: "steps", integer: true, min: 1 });
    if (read.stochasticSampling && options.noise === undefined) {
      throw new TypeError("Cannot create the solver as 'stochastic_sampling' needs the option 'noise'");
    }
    this.#noise = read.stochasticSampling ? options.noise : undefined;

    const grid = Float64Array.from(respace(shiftSigmas(read, options), read), f32);
    const sigmas = read.invertSigmas ? grid.map((sigma) => f32(1 - sigma)) : grid;
    this.timesteps = sigmas.map((sigma) => f32(sigma * read.numTrainTimesteps));
    this.sigmas = Float64Array.of(...sigmas, read.invertSigmas ? 1 : 0);
  }

  /** Whether sampling is stochastic. */
  get addsNoise(): boolean {
    return this.#noise !== undefined;
  }

  addNoise(index: number, original: Float32Array, noise: Float32Array): Float32Array<ArrayBuffer> {
    const sigma = this.sigmas[index]!;
    return addNoise(this, { index, original, noise, alpha: f32(1 - sigma), sigma });
  }

  scaleModelInput(_index: number, latents: Float32Array): Float32Array {
    return latents;
  }

  step(index: number, modelOutput: Float32Array, latents: Float32Array): void {
    assertSolverStep(this, { index, modelOutput, latents });
    const sigma = this.sigmas[index]!;
    const next = this.sigmas[index + 1]!;
    const dt = this.outputFactor(index);
    if (dt !== undefined) {
      for (let i = 0; i < latents.length; i++) latents[i]! += f32(dt * modelOutput[i]!);
      return;
    }
    const noise = this.#noise!(latents.length);
    const keep = f32(1 - next);
    for (let i = 0; i < latents.length; i++) {
      const original = f32(latents[i]! - f32(sigma * modelOutput[i]!));
      latents[i] = f32(keep * original) + f32(next * noise[i]!);
    }
  }

  outputFactor(index: number): number | undefined {
    return this.#noise === undefined ? f32(this.sigmas[index + 1]! - this.sigmas[index]!) : undefined;
  }

  predictOriginal(index: number, modelOutput: Float32Array, latents: Float32Array): Float32Array {
    assertSolverStep(this, { index, modelOutput, latents });
    const distance = f32(this.sigmas.at(-1)! - this.sigmas[index]!);
    return latents.map((value, i) => value + f32(distance * modelOutput[i]!));
  }

  reset(): void {}
}

const action = "create the solver";
const f32 = Math.fround;

function readConfig(config: SchedulerConfig): FlowMatchEulerConfig {
  const read = readSchedulerConfig(config, {
    className: "FlowMatchEulerDiscreteScheduler",
    defaults: DEFAULTS,
    nullable: ["baseShift", "maxShift"],
  });
  assertNumber(read.numTrainTimesteps, { action, name: "num_train_timesteps", integer: true, min: 1 });
  assertChoice(read.timeShiftType, { name: "time_shift_type", choices: ["exponential", "linear"] });
  return read;
}

/**
 * The sigmas of the run, shifted towards noise and stretched to the terminal one: diffusers'
 * set_timesteps, parts 1 to 3.
 */
function shiftSigmas(config: FlowMatchEulerConfig, options: SolverOptions): Float64Array {
  // numpy computes in float32 from sigmas that the caller gives, in float64 from its own.
  const round = options.sigmas === undefined ? (value: number) => value : f32;
  const sigmas = options.sigmas === undefined ? defaultSigmas(config, options.steps) : givenSigmas(options);

  let shifted: Float64Array;
  if (config.useDynamicShifting) {
    const mu = resolveMu(config, options);
    const strength = round(config.timeShiftType === "exponential" ? Math.exp(mu) : mu);
    shifted = sigmas.map((sigma) => round(strength / round(strength + round(round(1 / sigma) - 1))));
  } else {
    shifted = sigmas.map((sigma) => shiftStatically(sigma, config.shift, round));
  }
  // Zero counts as absent there, too. A run of one step has no grid to stretch: diffusers divides by zero.
  if (!config.shiftTerminal || shifted.at(-1) === 1) return shifted;
  const scale = round(round(1 - shifted.at(-1)!) / round(1 - config.shiftTerminal));
  return shifted.map((sigma) => round(1 - round(round(1 - sigma) / scale)));
}

function defaultSigmas(config: FlowMatchEulerConfig, steps: number): Float64Array {
  // The ends are those of the training grid, which diffusers keeps in float32 and has already shifted once.
  const [max, min] = [1, f32(1 / config.numTrainTimesteps)].map((sigma) =>
    config.useDynamicShifting ? sigma : shiftStatically(sigma, config.shift, f32)
  ) as [number, number];
  const timesteps = linspace(max * config.numTrainTimesteps, min * config.numTrainTimesteps, steps);
  return timesteps.map((timestep) => timestep / config.numTrainTimesteps);
}

function givenSigmas({ sigmas = [], steps }: SolverOptions): Float64Array {
  if (sigmas.length !== steps) {
    throw new RangeError(
      `Cannot create the solver as 'sigmas' must hold ${steps} values: current length is ${sigmas.length}`,
    );
  }
  return Float64Array.from(sigmas, f32);
}

function shiftStatically(sigma: number, shift: number, round: (value: number) => number): number {
  return round(round(round(shift) * sigma) / round(1 + round(round(shift - 1) * sigma)));
}

function resolveMu(config: FlowMatchEulerConfig, { mu, imageSeqLen }: SolverOptions): number {
  if (mu !== undefined) return mu;
  if (imageSeqLen === undefined) {
    throw new TypeError(
      "Cannot create the solver as 'use_dynamic_shifting' needs the option 'imageSeqLen' or 'mu'",
    );
  }
  const { baseShift, maxShift } = config;
  if (baseShift === null || maxShift === null) {
    throw new TypeError(
      "Cannot create the solver as 'base_shift' and 'max_shift' must not be null without the option 'mu'",
    );
  }
  return calculateShift(imageSeqLen, { ...config, baseShift, maxShift });
}

function respace(sigmas: Float64Array, config: FlowMatchEulerConfig): Float64Array {
  const spacing = chosenSpacing(config);
  if (spacing === undefined) return sigmas;
  return spaceSigmas(spacing, { max: sigmas[0]!, min: sigmas.at(-1)!, count: sigmas.length });
}
