// The base of diffusers' two Euler schedulers: latents = original + sigma * noise,
// scaled to the model's input.

import { addNoise } from "./add_noise.ts";
import { assertSolverStep } from "./assert_solver_step.ts";
import type { PredictionType } from "./convert_model_output.ts";
import { linearCombination } from "../numerics/linear_combination.ts";
import type { Solver, SolverGrid } from "./solver.ts";

/** Quantities that a model may predict for these solvers. */
export type EulerPredictionType = Exclude<PredictionType, "flow_prediction">;

export interface EulerSolverOptions extends SolverGrid {
  timestepSpacing: string;
  predictionType: EulerPredictionType;
}

export abstract class EulerSolver implements Solver {
  readonly timesteps: Float64Array;
  readonly sigmas: Float64Array;
  readonly initNoiseSigma: number;
  readonly #predictionType: EulerPredictionType;

  constructor({ timesteps, sigmas, timestepSpacing, predictionType }: EulerSolverOptions) {
    this.timesteps = timesteps;
    this.sigmas = sigmas;
    this.#predictionType = predictionType;
    const max = sigmas.reduce((a, b) => Math.max(a, b));
    this.initNoiseSigma = timestepSpacing === "leading" ? inputScale(max) : max;
  }

  addNoise(index: number, original: Float32Array, noise: Float32Array): Float32Array<ArrayBuffer> {
    return addNoise(this, { index, original, noise, alpha: 1, sigma: this.sigmas[index]! });
  }

  scaleModelInput(index: number, latents: Float32Array): Float32Array {
    return linearCombination([[1, latents]], { divisor: inputScale(this.sigmas[index]!) });
  }

  abstract step(index: number, modelOutput: Float32Array, latents: Float32Array): void;

  predictOriginal(index: number, modelOutput: Float32Array, latents: Float32Array): Float32Array {
    assertSolverStep(this, { index, modelOutput, latents });
    const predictionType = this.#predictionType;
    const sigma = this.sigmas[index]!;
    switch (predictionType) {
      case "epsilon":
        return linearCombination([[1, latents], [-sigma, modelOutput]]);
      case "v_prediction": {
        const variance = f32(f32(sigma * sigma) + 1);
        const factor = f32(-sigma / f32(Math.sqrt(variance)));
        return latents.map((value, i) => f32(factor * modelOutput[i]!) + f32(value / variance));
      }
      case "sample":
        return new Float32Array(modelOutput);
      default:
        throw new TypeError(
          `Cannot convert the output as its type is unknown: ${predictionType satisfies never}`,
        );
    }
  }

  reset(): void {}
}

/**
 * sqrt(sigma^2 + 1) in float32: the standard deviation of latents at that sigma, which models
 * were trained to see as 1.
 */
function inputScale(sigma: number): number {
  return f32(Math.sqrt(f32(f32(sigma * sigma) + 1)));
}

const f32 = Math.fround;
