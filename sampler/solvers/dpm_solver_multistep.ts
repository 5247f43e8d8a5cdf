// diffusers' DPMSolverMultistepScheduler (0.42.1): DPM-Solver++ 2M and its relatives, of orders 1 to 3.

import { NOISE_SCHEDULE_DEFAULTS } from "./schedule/alphas_cumprod.ts";
import { assertChoice } from "../numerics/assert_choice.ts";
import { assertNumber } from "../numerics/assert_number.ts";
import { assertSolverOptions } from "./assert_solver_options.ts";
import { type DpmSolverAlgorithm, dpmSolverCoefficients } from "./dpm_solver_coefficients.ts";
import { dpmSolverGrid, type DpmSolverGridConfig } from "./dpm_solver_grid.ts";
import { LambdaSolver, readPredictionType } from "./lambda_solver.ts";
import { readSchedulerConfig } from "./schedule/read_scheduler_config.ts";
import { refuseOption } from "./schedule/refuse_option.ts";
import { SIBLING_OPTIONS } from "./schedule/sibling_options.ts";
import { withShiftOfSize } from "./schedule/with_shift_of_size.ts";
import { linearCombination, type Term } from "../numerics/linear_combination.ts";
import type { SolverOptions } from "./solver.ts";
import type { SchedulerConfig } from "./schedule/read_scheduler_config.ts";

/**
 * Every option that the class defines; diffusers documents them. It heeds `sigma_min` and `sigma_max` as
 * well, if they are there.
 */
export interface DpmSolverMultistepConfig extends DpmSolverGridConfig {
  solverOrder: number;
  predictionType: string;
  thresholding: boolean;
  dynamicThresholdingRatio: number;
  sampleMaxValue: number;
  algorithmType: string;
  solverType: string;
  lowerOrderFinal: boolean;
  eulerAtFinal: boolean;
  varianceType: string | null;
  rescaleBetasZeroSnr: boolean;
  timeShiftType: string;
}

const DEFAULTS: DpmSolverMultistepConfig = {
  ...NOISE_SCHEDULE_DEFAULTS,
  solverOrder: 2,
  predictionType: "epsilon",
  thresholding: false,
  dynamicThresholdingRatio: 0.995,
  sampleMaxValue: 1,
  algorithmType: "dpmsolver++",
  solverType: "midpoint",
  lowerOrderFinal: true,
  eulerAtFinal: false,
  useKarrasSigmas: false,
  useExponentialSigmas: false,
  useBetaSigmas: false,
  useLuLambdas: false,
  useFlowSigmas: false,
  flowShift: 1,
  finalSigmasType: "zero",
  lambdaMinClipped: -Infinity,
  varianceType: null,
  timestepSpacing: "linspace",
  stepsOffset: 0,
  rescaleBetasZeroSnr: false,
  useDynamicShifting: false,
  timeShiftType: "exponential",
  sigmaMin: null,
  sigmaMax: null,
};

/** A multistep solver: each step depends on the model outputs of up to two steps before it. */
export class DpmSolverMultistep extends LambdaSolver {
  readonly #config: DpmSolverMultistepConfig;
  readonly #algorithm: DpmSolverAlgorithm;
  readonly #solverType: "midpoint" | "heun";
  readonly #noise: ((count: number) => Float32Array) | undefined;

  /** Whether the algorithm is one of the stochastic ones. */
  get addsNoise(): boolean {
    return this.#noise !== undefined;
  }

  /** Converted model outputs since the last reset, the latest first. */
  #outputs: Float32Array[] = [];

  /**
   * @throws {TypeError} If an option is unknown, unsupported, has a wrong type or value or does not go with
   * another, or `options` lack noise for an sde algorithm.
   * @throws {RangeError} If a number is outside its range.
   */
  constructor(config: SchedulerConfig, options: SolverOptions) {
    const read = readConfig(config);
    const algorithm = readAlgorithm(read);
    const solverType = readSolverType(read);
    const ofNoise = ["dpmsolver", "sde-dpmsolver"].includes(read.algorithmType);
    const predictionType = readPredictionType(read.predictionType, { flow: !ofNoise });
    const needsNoise = algorithm.startsWith("sde");
    assertSolverOptions(options, { className: CLASS_NAME, needsNoise });
    super({
      ...dpmSolverGrid(read, withShiftOfSize(options, config)),
      useFlowSigmas: read.useFlowSigmas,
      predictionType,
    });
    this.#config = read;
    this.#algorithm = algorithm;
    this.#solverType = solverType;
    this.#noise = needsNoise ? options.noise : undefined;
  }

  override step(index: number, modelOutput: Float32Array, latents: Float32Array): void {
    const to = this.#algorithm.endsWith("++") ? "original" : "epsilon";
    const output = this.convert(to, { index, modelOutput, latents });
    this.#outputs = [output, ...this.#outputs.slice(0, this.#config.solverOrder - 1)];
    const order = this.#orderAt(index);
    const coefficients = dpmSolverCoefficients({
      algorithm: this.#algorithm,
      derivative: order === 3 ? "heun" : this.#solverType,
      from: this.levelAt(index),
      to: this.levelAt(index + 1),
    });
    const values = [output, ...this.#derivatives(index, order)];
    const terms = values.map((array, i): Term => [coefficients.outputs[i]!, array]);
    if (coefficients.noise !== undefined) terms.push([coefficients.noise, this.#noise!(latents.length)]);
    latents.set(linearCombination([[coefficients.latents, latents], ...terms]));
  }

  override reset(): void {
    this.#outputs = [];
  }

  #orderAt(index: number): number {
    const { solverOrder, lowerOrderFinal, eulerAtFinal, finalSigmasType } = this.#config;
    const stepsLeft = this.timesteps.length - index;
    const lower = lowerOrderFinal && this.timesteps.length < 15;
    const order = Math.min(solverOrder, this.#outputs.length);
    if (stepsLeft === 1 && (eulerAtFinal || lower || finalSigmasType === "zero")) return 1;
    return stepsLeft === 2 && lower ? Math.min(order, 2) : order;
  }

  /**
   * Differences of the outputs, in units of the step from `index`: as many as the order has
   * beside the output itself.
   */
  #derivatives(index: number, order: number): Float32Array[] {
    if (order === 1) return [];
    const [m0, m1, m2] = this.#outputs as [Float32Array, Float32Array, Float32Array];
    const levels = [1, 0, -1, -2].map((offset) => this.levelAt(Math.max(index + offset, 0)).lambda);
    const [next, current, previous, oldest] = levels as [number, number, number, number];
    const h = next - current;
    const r0 = (current - previous) / h;
    const first = scaledDifference(1 / r0, m0, m1);
    if (order === 2) return [first];

    const r1 = (previous - oldest) / h;
    const earlier = scaledDifference(1 / r1, m1, m2);
    const correction = scaledDifference(r0 / (r0 + r1), first, earlier);
    return [
      linearCombination([[1, first], [1, correction]]),
      scaledDifference(1 / (r0 + r1), first, earlier),
    ];
  }
}

const CLASS_NAME = "DPMSolverMultistepScheduler";

function readConfig(config: SchedulerConfig): DpmSolverMultistepConfig {
  const read = readSchedulerConfig(config, {
    className: CLASS_NAME,
    defaults: DEFAULTS,
    optional: { trainedBetas: "array", varianceType: "string" },
    nullable: ["useKarrasSigmas", "useExponentialSigmas", "useBetaSigmas", "useLuLambdas", "useFlowSigmas"],
    ignored: SIBLING_OPTIONS,
  });
  const { solverOrder, finalSigmasType, timeShiftType } = read;
  assertNumber(solverOrder, {
    action: "create the solver",
    name: "solver_order",
    integer: true,
    min: 1,
    max: 3,
  });
  assertChoice(finalSigmasType, { name: "final_sigmas_type", choices: ["zero", "sigma_min"] });
  assertChoice(timeShiftType, { name: "time_shift_type", choices: ["exponential"] });
  if (read.thresholding) {
    refuseOption({ className: CLASS_NAME, name: "thresholding", reason: "it is unsuitable for latents" });
  }
  if (read.varianceType !== null) {
    refuseOption({ className: CLASS_NAME, name: "variance_type", reason: "models of latents have none" });
  }
  return read;
}

function readAlgorithm({ algorithmType, finalSigmasType, solverOrder }: DpmSolverMultistepConfig) {
  // "deis" comes with the configs of another scheduler.
  const algorithm = algorithmType === "deis" ? "dpmsolver++" : algorithmType;
  assertChoice(algorithm, {
    name: "algorithm_type",
    choices: ["dpmsolver", "dpmsolver++", "sde-dpmsolver", "sde-dpmsolver++"],
  });
  if (!algorithmType.endsWith("++") && finalSigmasType === "zero") {
    throw new TypeError(
      `Cannot create the solver as 'final_sigmas_type' must be sigma_min with ${algorithmType}: ` +
        "current value is zero",
    );
  }
  if (algorithm === "sde-dpmsolver" && solverOrder === 3) {
    throw new TypeError(
      "Cannot create the solver as 'solver_order' must be 1 or 2 with sde-dpmsolver: current value is 3",
    );
  }
  return algorithm;
}

function readSolverType({ solverType }: DpmSolverMultistepConfig) {
  // Names that come with the configs of other schedulers.
  const type = ["logrho", "bh1", "bh2"].includes(solverType) ? "midpoint" : solverType;
  assertChoice(type, { name: "solver_type", choices: ["midpoint", "heun"] });
  return type;
}

/** factor * (a - b), in float32. */
function scaledDifference(factor: number, a: Float32Array, b: Float32Array): Float32Array {
  return linearCombination([[factor, linearCombination([[1, a], [-1, b]])]]);
}
