// diffusers' UniPCMultistepScheduler (0.42.1): Zhao et al. 2023 (arXiv 2302.04867), of any order.
// Wan's solver, on a flow.

import { NOISE_SCHEDULE_DEFAULTS } from "./schedule/alphas_cumprod.ts";
import { assertChoice } from "../numerics/assert_choice.ts";
import { assertNumber } from "../numerics/assert_number.ts";
import { assertSolverOptions } from "./assert_solver_options.ts";
import { chosenSpacing } from "./schedule/chosen_spacing.ts";
import { LambdaSolver, readPredictionType } from "./lambda_solver.ts";
import { readSchedulerConfig } from "./schedule/read_scheduler_config.ts";
import { refuseOption } from "./schedule/refuse_option.ts";
import { SIBLING_OPTIONS } from "./schedule/sibling_options.ts";
import { withShiftOfSize } from "./schedule/with_shift_of_size.ts";
import { unipcCoefficients, type UniPCStep } from "./unipc_coefficients.ts";
import { unipcGrid, type UniPCGridConfig } from "./unipc_grid.ts";
import { linearCombination, type Term } from "../numerics/linear_combination.ts";
import type { SolverOptions } from "./solver.ts";
import type { SchedulerConfig } from "./schedule/read_scheduler_config.ts";

/** Every option that the class defines; diffusers documents them. */
export interface UniPCMultistepConfig extends UniPCGridConfig {
  solverOrder: number;
  predictionType: string;
  thresholding: boolean;
  dynamicThresholdingRatio: number;
  sampleMaxValue: number;
  predictX0: boolean;
  solverType: string;
  lowerOrderFinal: boolean;
  disableCorrector: readonly number[];
  solverP: object | null;
  rescaleBetasZeroSnr: boolean;
}

const DEFAULTS: UniPCMultistepConfig = {
  ...NOISE_SCHEDULE_DEFAULTS,
  solverOrder: 2,
  predictionType: "epsilon",
  thresholding: false,
  dynamicThresholdingRatio: 0.995,
  sampleMaxValue: 1,
  predictX0: true,
  solverType: "bh2",
  lowerOrderFinal: true,
  disableCorrector: [],
  solverP: null,
  useKarrasSigmas: false,
  useExponentialSigmas: false,
  useBetaSigmas: false,
  useFlowSigmas: false,
  flowShift: 1,
  timestepSpacing: "linspace",
  stepsOffset: 0,
  finalSigmasType: "zero",
  rescaleBetasZeroSnr: false,
  useDynamicShifting: false,
  timeShiftType: "exponential",
  sigmaMin: null,
  sigmaMax: null,
  shiftTerminal: null,
};

/**
 * A multistep solver. Each step first corrects the latents with the output at them. Then it goes on from
 * there with the outputs of as many steps as its order.
 */
export class UniPCMultistep extends LambdaSolver {
  readonly #config: UniPCMultistepConfig;
  readonly #solverType: "bh1" | "bh2";

  /** Converted model outputs since the last reset, the latest first. */
  #outputs: Float32Array[] = [];
  /** Latents at the start of the step before, and its order. */
  #last: { latents: Float32Array; order: number } | undefined;

  /**
   * @throws {TypeError} If an option is unknown, unsupported, has a wrong type or value or does not go with
   * another, or `options` lack the `mu` of dynamic shifting.
   * @throws {RangeError} If a number is outside its range.
   */
  constructor(config: SchedulerConfig, given: SolverOptions) {
    const options = withShiftOfSize(given, config);
    const read = readConfig(config);
    const solverType = readSolverType(read);
    const predictionType = readPredictionType(read.predictionType, { flow: read.predictX0 });
    const takesSigmas = read.useFlowSigmas === true && chosenSpacing(read) === undefined;
    assertSolverOptions(options, { className: CLASS_NAME, takesSigmas });
    if (read.useDynamicShifting && options.mu === undefined) {
      throw new TypeError("Cannot create the solver as 'use_dynamic_shifting' needs the option 'mu'");
    }
    super({ ...unipcGrid(read, options), useFlowSigmas: read.useFlowSigmas, predictionType });
    this.#config = read;
    this.#solverType = solverType;
  }

  override step(index: number, modelOutput: Float32Array, latents: Float32Array): void {
    const { solverOrder, predictX0, lowerOrderFinal, disableCorrector } = this.#config;
    const output = this.convert(predictX0 ? "original" : "epsilon", { index, modelOutput, latents });
    if (this.#last !== undefined && !disableCorrector.includes(index - 1)) {
      latents.set(this.#advance(index, { ...this.#last, outputs: this.#outputs, corrected: output }));
    }
    this.#outputs = [output, ...this.#outputs.slice(0, solverOrder - 1)];
    const stepsLeft = lowerOrderFinal ? this.timesteps.length - index : Infinity;
    const order = Math.min(stepsLeft, this.#outputs.length);
    this.#last = { latents: new Float32Array(latents), order };
    latents.set(this.#advance(index + 1, { latents, order, outputs: this.#outputs }));
  }

  override reset(): void {
    this.#outputs = [];
    this.#last = undefined;
  }

  /** The latents at `index`, from those one step before. */
  #advance(index: number, { latents, order, outputs, corrected }: Advance): Float32Array {
    const step: UniPCStep = {
      part: corrected === undefined ? "predictor" : "corrector",
      to: this.levelAt(index),
      from: outputs.slice(0, order).map((_, i) => this.levelAt(index - 1 - i)),
      predictX0: this.#config.predictX0,
      solverType: this.#solverType,
    };
    const coefficients = unipcCoefficients(step);
    const [latest, ...earlier] = outputs.slice(0, order) as [Float32Array, ...Float32Array[]];
    const differences = earlier.map((output, i) =>
      linearCombination([[1, output], [-1, latest]], { divisor: coefficients.distances[i]! })
    );
    if (corrected !== undefined) differences.push(linearCombination([[1, corrected], [-1, latest]]));
    const terms: [Term, ...Term[]] = [[coefficients.latents, latents], [coefficients.output, latest]];
    const [first, ...others] = differences.map((array, i): Term => [coefficients.rhos[i]!, array]);
    if (first !== undefined) terms.push([coefficients.step, linearCombination([first, ...others])]);
    return linearCombination(terms);
  }
}

interface Advance {
  latents: Float32Array;
  order: number;
  /** The latest first. */
  outputs: readonly Float32Array[];
  /** The output at the end of the step, which makes it a correction. */
  corrected?: Float32Array;
}

const CLASS_NAME = "UniPCMultistepScheduler";

function readConfig(config: SchedulerConfig): UniPCMultistepConfig {
  const read = readSchedulerConfig(config, {
    className: CLASS_NAME,
    defaults: DEFAULTS,
    optional: { trainedBetas: "array", solverP: "object" },
    nullable: ["useKarrasSigmas", "useExponentialSigmas", "useBetaSigmas", "useFlowSigmas"],
    ignored: SIBLING_OPTIONS,
  });
  const { solverOrder, finalSigmasType, timeShiftType } = read;
  assertNumber(solverOrder, { action: "create the solver", name: "solver_order", integer: true, min: 1 });
  assertChoice(finalSigmasType, { name: "final_sigmas_type", choices: ["zero", "sigma_min"] });
  assertChoice(timeShiftType, { name: "time_shift_type", choices: ["exponential", "linear"] });
  if (read.thresholding) {
    refuseOption({ className: CLASS_NAME, name: "thresholding", reason: "it is unsuitable for latents" });
  }
  if (read.solverP !== null) {
    refuseOption({ className: CLASS_NAME, name: "solver_p", reason: "a config cannot hold a scheduler" });
  }
  if (read.shiftTerminal !== null && !read.useFlowSigmas) {
    throw new TypeError("Cannot create the solver as 'shift_terminal' needs 'use_flow_sigmas'");
  }
  if (!read.lowerOrderFinal && finalSigmasType === "zero" && solverOrder > 1) {
    // The step to a sigma of 0 is infinitely long, and all others are nothing beside it.
    throw new TypeError(
      "Cannot create the solver as 'final_sigmas_type' must be sigma_min without 'lower_order_final': " +
        "current value is zero",
    );
  }
  return read;
}

function readSolverType({ solverType }: UniPCMultistepConfig): "bh1" | "bh2" {
  // Names that come with the configs of other schedulers.
  const type = ["midpoint", "heun", "logrho"].includes(solverType) ? "bh2" : solverType;
  assertChoice(type, { name: "solver_type", choices: ["bh1", "bh2"] });
  return type;
}
