// What a model's output says about the original where latents = original + sigma * noise, as in both of diffusers' Euler
// schedulers.

import { linearCombination } from "./linear_combination.ts";

/** A model's output and what it was computed from. */
export interface EulerPrediction {
  predictionType: "epsilon" | "v_prediction" | "sample";
  sigma: number;
  modelOutput: Float32Array;
  latents: Float32Array;
}

/** The predicted original: a new array. */
export function predictEulerOriginal(prediction: EulerPrediction): Float32Array<ArrayBuffer> {
  const { predictionType, sigma, modelOutput: output, latents } = prediction;
  switch (predictionType) {
    case "epsilon":
      return linearCombination([[1, latents], [-sigma, output]]);
    case "v_prediction": {
      const variance = f32(f32(sigma * sigma) + 1);
      const factor = f32(-sigma / f32(Math.sqrt(variance)));
      const original = new Float32Array(latents.length);
      for (let i = 0; i < original.length; i++) {
        original[i] = f32(factor * output[i]!) + f32(latents[i]! / variance);
      }
      return original;
    }
    case "sample":
      return new Float32Array(output);
    default:
      throw new TypeError(
        `Cannot convert the output as its type is unknown: ${predictionType satisfies never}`,
      );
  }
}

const f32 = Math.fround;
