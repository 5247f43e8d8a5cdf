// Converts a model's output to the original or the noise in latents = alpha * original + sigma * noise:
// `convert_model_output` of diffusers' DPM-Solver and UniPC, and the same formulas in DDIM and PNDM.

import { linearCombination } from "../numerics/linear_combination.ts";
import type { NoiseLevel } from "./schedule/noise_level.ts";

/** The quantity that a model was trained to predict. */
export type PredictionType = "epsilon" | "sample" | "v_prediction" | "flow_prediction";

/** A model's output and the latents that it was computed from. */
export interface Prediction extends NoiseLevel {
  predictionType: PredictionType;
  modelOutput: Float32Array;
  latents: Float32Array;
}

/** Returns the predicted original or noise ("epsilon"), a new array. */
export function convertModelOutput(
  to: "original" | "epsilon",
  prediction: Prediction,
): Float32Array<ArrayBuffer> {
  return to === "original" ? toOriginal(prediction) : toEpsilon(prediction);
}

function toOriginal(
  { predictionType, alpha, sigma, modelOutput, latents }: Prediction,
): Float32Array<ArrayBuffer> {
  switch (predictionType) {
    case "epsilon":
      return linearCombination([[1, latents], [-sigma, modelOutput]], { divisor: alpha });
    case "sample":
      return new Float32Array(modelOutput);
    case "v_prediction":
      return linearCombination([[alpha, latents], [-sigma, modelOutput]]);
    case "flow_prediction":
      return linearCombination([[1, latents], [-sigma, modelOutput]]);
    default:
      throw new TypeError(
        `Cannot convert the output as its type is unknown: ${predictionType satisfies never}`,
      );
  }
}

function toEpsilon(
  { predictionType, alpha, sigma, modelOutput, latents }: Prediction,
): Float32Array<ArrayBuffer> {
  switch (predictionType) {
    case "epsilon":
      return new Float32Array(modelOutput);
    case "sample":
      return linearCombination([[1, latents], [-alpha, modelOutput]], { divisor: sigma });
    case "v_prediction":
      return linearCombination([[alpha, modelOutput], [sigma, latents]]);
    case "flow_prediction":
      return linearCombination([[1, latents], [alpha, modelOutput]]);
    default:
      throw new TypeError(
        `Cannot convert the output as its type is unknown: ${predictionType satisfies never}`,
      );
  }
}
