// The base of DPM-Solver and UniPC: steps in lambda, from outputs converted at the noise level
// where they were computed.

import { addNoise } from "./add_noise.ts";
import { assertChoice } from "../numerics/assert_choice.ts";
import { assertSolverStep, type SolverStep } from "./assert_solver_step.ts";
import { convertModelOutput, type PredictionType } from "./convert_model_output.ts";
import { type LambdaLevel, lambdaLevel } from "./lambda_level.ts";
import type { Solver, SolverGrid } from "./solver.ts";

export interface LambdaSolverOptions extends SolverGrid {
  /** Whether the sigmas are a flow's. */
  useFlowSigmas: boolean | null;
  predictionType: PredictionType;
}

export abstract class LambdaSolver implements Solver {
  readonly timesteps: Float64Array;
  readonly sigmas: Float64Array;
  readonly initNoiseSigma = 1;
  readonly #flow: boolean;
  readonly #predictionType: PredictionType;

  constructor({ timesteps, sigmas, useFlowSigmas, predictionType }: LambdaSolverOptions) {
    this.timesteps = timesteps;
    this.sigmas = sigmas;
    this.#flow = useFlowSigmas === true;
    this.#predictionType = predictionType;
  }

  addNoise(index: number, original: Float32Array, noise: Float32Array): Float32Array<ArrayBuffer> {
    return addNoise(this, { index, original, noise, ...this.levelAt(index) });
  }

  scaleModelInput(_index: number, latents: Float32Array): Float32Array {
    return latents;
  }

  abstract step(index: number, modelOutput: Float32Array, latents: Float32Array): void;

  predictOriginal(index: number, modelOutput: Float32Array, latents: Float32Array): Float32Array {
    return this.convert("original", { index, modelOutput, latents });
  }

  abstract reset(): void;

  /**
   * Converts the output of a step to a prediction of the original or of the noise.
   * @throws {RangeError} If there is no such step, or the lengths differ.
   */
  protected convert(to: "original" | "epsilon", step: SolverStep): Float32Array {
    assertSolverStep(this, step);
    const { index, modelOutput, latents } = step;
    const predictionType = this.#predictionType;
    const { alpha, sigma } = this.levelAt(index);
    // A flow's output is taken by the solver's sigma even where the grid is not a flow's.
    const own = predictionType === "flow_prediction" ? this.sigmas[index]! : sigma;
    return convertModelOutput(to, { predictionType, alpha, sigma: own, modelOutput, latents });
  }

  protected levelAt(index: number): LambdaLevel {
    return lambdaLevel(this.sigmas[index]!, { flow: this.#flow });
  }
}

/** Checks the name of a prediction type. @throws {TypeError} Naming the option 'prediction_type'. */
export function readPredictionType(
  predictionType: string,
  { flow }: { flow: boolean },
): PredictionType {
  const choices = ["epsilon", "sample", "v_prediction", ...flow ? ["flow_prediction" as const] : []] as const;
  assertChoice(predictionType, { name: "prediction_type", choices });
  return predictionType;
}
