// diffusers' PNDMScheduler (0.42.1): Liu et al. 2022 (arXiv 2202.09778), algorithm 2. Its steps
// are calls of the model: one more than asked for with `skip_prk_steps`, as Stable Diffusion has
// it, and nine more without.

import { addNoise } from "./add_noise.ts";
import { NOISE_SCHEDULE_DEFAULTS } from "./schedule/alphas_cumprod.ts";
import { assertChoice } from "../numerics/assert_choice.ts";
import { assertNumber } from "../numerics/assert_number.ts";
import { assertSolverOptions } from "./assert_solver_options.ts";
import { assertSolverStep } from "./assert_solver_step.ts";
import { readSchedulerConfig } from "./schedule/read_scheduler_config.ts";
import { SIBLING_OPTIONS } from "./schedule/sibling_options.ts";
import { AlphaTable, type AlphaTableConfig } from "./schedule/alpha_table.ts";
import { convertModelOutput } from "./convert_model_output.ts";
import { linearCombination, type Term } from "../numerics/linear_combination.ts";
import type { Solver, SolverOptions } from "./solver.ts";
import type { SchedulerConfig } from "./schedule/read_scheduler_config.ts";
import { spaceTimesteps, type TimestepSpacingConfig } from "./schedule/timestep_spacing.ts";

/** Every option that the class defines; diffusers documents them. */
export interface PndmConfig extends AlphaTableConfig, TimestepSpacingConfig {
  skipPrkSteps: boolean;
  predictionType: string;
}

const DEFAULTS: PndmConfig = {
  ...NOISE_SCHEDULE_DEFAULTS,
  skipPrkSteps: false,
  setAlphaToOne: false,
  predictionType: "epsilon",
  timestepSpacing: "leading",
  stepsOffset: 0,
};

/** A multistep solver: each step depends on the model outputs of up to three steps before it. */
export class Pndm implements Solver {
  readonly timesteps: Float64Array;
  readonly sigmas: Float64Array;
  readonly initNoiseSigma = 1;
  readonly #alphas: AlphaTable;
  readonly #stride: number;
  readonly #predictionType: "epsilon" | "v_prediction";
  /** Number of first steps that are stages of Runge-Kutta steps, four stages each. */
  readonly #stages: number;

  /** Model outputs, the latest last. */
  #outputs: Float32Array[] = [];
  /** Steps since the last reset. */
  #count = 0;
  /** Latents at the start of the Runge-Kutta step, or of the repeated first step. */
  #start = new Float32Array();
  /** Weighted sum of the Runge-Kutta step's outputs so far. */
  #sum = new Float32Array();

  /**
   * @throws {TypeError} If an option is unknown or has a wrong type or value.
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
    const { predictionType } = read;
    assertChoice(predictionType, { name: "prediction_type", choices: ["epsilon", "v_prediction"] });
    this.#predictionType = predictionType;
    this.#alphas = new AlphaTable(read);
    this.#stride = Math.floor(read.numTrainTimesteps / options.steps);
    const grid = [...spaceTimesteps(read, { steps: options.steps })];
    const stages = read.skipPrkSteps ? [] : rungeKuttaTimesteps(grid, this.#stride);
    // The second timestep comes twice: the first step is taken again with the output at its end.
    const others = read.skipPrkSteps ? grid.flatMap((t, i) => i === 1 ? [t, t] : [t]) : grid.slice(3);
    this.#stages = stages.length;
    this.timesteps = Float64Array.of(...stages, ...others);
    this.sigmas = this.#alphas.sigmas(this.timesteps);
  }

  addNoise(index: number, original: Float32Array, noise: Float32Array): Float32Array<ArrayBuffer> {
    return addNoise(this, { index, original, noise, ...this.#alphas.levelAt(this.timesteps[index]!) });
  }

  scaleModelInput(_index: number, latents: Float32Array): Float32Array {
    return latents;
  }

  step(index: number, modelOutput: Float32Array, latents: Float32Array): void {
    assertSolverStep(this, { index, modelOutput, latents });
    if (this.#count < this.#stages) this.#stepRungeKutta(index, modelOutput, latents);
    else this.#stepMultistep(index, modelOutput, latents);
    this.#count++;
  }

  predictOriginal(index: number, modelOutput: Float32Array, latents: Float32Array): Float32Array {
    assertSolverStep(this, { index, modelOutput, latents });
    const level = this.#alphas.levelAt(this.timesteps[index]!);
    const predictionType = this.#predictionType;
    return convertModelOutput("original", { ...level, predictionType, modelOutput, latents });
  }

  reset(): void {
    this.#outputs = [];
    this.#count = 0;
  }

  /** One of the four stages of equation 13. */
  #stepRungeKutta(index: number, modelOutput: Float32Array, latents: Float32Array): void {
    const stage = this.#count % 4;
    if (stage === 0) {
      this.#outputs.push(new Float32Array(modelOutput));
      this.#start = new Float32Array(latents);
      this.#sum = linearCombination([[1 / 6, modelOutput]]);
    } else {
      this.#sum = linearCombination([[1, this.#sum], [stage === 3 ? 1 / 6 : 1 / 3, modelOutput]]);
    }
    const half = this.#count % 2 === 0 ? Math.floor(this.#stride / 2) : 0;
    this.#transfer(latents, {
      start: this.#start,
      output: stage === 3 ? this.#sum : modelOutput,
      from: this.timesteps[this.#count - stage]!,
      to: this.timesteps[index]! - half,
    });
  }

  /** The linear multistep method of equation 12, with lower orders until there are four outputs. */
  #stepMultistep(index: number, modelOutput: Float32Array, latents: Float32Array): void {
    const timestep = this.timesteps[index]!;
    if (this.#count === 1) {
      const [first] = this.#outputs;
      const output = linearCombination([[1, modelOutput], [1, first!]], { divisor: 2 });
      this.#transfer(latents, { start: this.#start, output, from: timestep + this.#stride, to: timestep });
      return;
    }
    if (this.#count === 0) this.#start = new Float32Array(latents);
    this.#outputs = [...this.#outputs.slice(-3), new Float32Array(modelOutput)];
    const output = extrapolate(this.#outputs);
    this.#transfer(latents, { start: latents, output, from: timestep, to: timestep - this.#stride });
  }

  /** Equation 9 into `latents`, in the order in which diffusers computes it. */
  #transfer(latents: Float32Array, { start, output, from, to }: Transfer): void {
    const [alpha, next] = [this.#alphas.at(from), this.#alphas.at(to)];
    const [beta, nextBeta] = [f32(1 - alpha), f32(1 - next)];
    const predictionType = this.#predictionType;
    const epsilon = convertModelOutput("epsilon", {
      ...this.#alphas.levelAt(from),
      predictionType,
      modelOutput: output,
      latents: start,
    });
    const keep = f32(Math.sqrt(f32(next / alpha)));
    const product = f32(f32(alpha * beta) * next);
    const divisor = f32(f32(alpha * f32(Math.sqrt(nextBeta))) + f32(Math.sqrt(product)));
    const gain = f32(next - alpha);
    for (let i = 0; i < latents.length; i++) {
      latents[i] = f32(keep * start[i]!) - f32(f32(gain * epsilon[i]!) / divisor);
    }
  }
}

interface Transfer {
  start: Float32Array;
  output: Float32Array;
  from: number;
  to: number;
}

const CLASS_NAME = "PNDMScheduler";
const f32 = Math.fround;

/** The timesteps of the stages of three steps: where each begins, twice its middle, and its end. */
function rungeKuttaTimesteps(grid: readonly number[], stride: number): number[] {
  assertNumber(grid.length, { action: "create the solver", name: "steps", integer: true, min: 4 });
  const half = Math.floor(stride / 2);
  return [0, 1, 2].flatMap((i) => [grid[i]!, grid[i + 1]! + half, grid[i + 1]! + half, grid[i + 1]!]);
}

/** Adams-Bashforth weights, by the number of outputs, and divided as diffusers does. */
function extrapolate(outputs: readonly Float32Array[]): Float32Array {
  const [e0, e1, e2, e3] = outputs.toReversed() as [Float32Array, ...Float32Array[]];
  switch (outputs.length) {
    case 1:
      return e0;
    case 2:
      return linearCombination([[3, e0], [-1, e1!]], { divisor: 2 });
    case 3:
      return linearCombination([[23, e0], [-16, e1!], [5, e2!]], { divisor: 12 });
    default: {
      const terms: [Term, ...Term[]] = [[55, e0], [-59, e1!], [37, e2!], [-9, e3!]];
      return linearCombination([[1 / 24, linearCombination(terms)]]);
    }
  }
}
