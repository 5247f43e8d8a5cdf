// What a model's output says about the original where latents = original + sigma * noise, as in both of diffusers' Euler
// schedulers.

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
      return latents.map((value, i) => value - f32(sigma * output[i]!));
    case "v_prediction": {
      const variance = f32(f32(sigma * sigma) + 1);
      const factor = f32(-sigma / f32(Math.sqrt(variance)));
      return latents.map((value, i) => f32(factor * output[i]!) + f32(value / variance));
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
