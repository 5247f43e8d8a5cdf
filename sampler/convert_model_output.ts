// What a model's output says about the original and the noise in latents = alpha * original + sigma * noise:
// `convert_model_output` of diffusers' DPM-Solver and UniPC, and the same formulas in DDIM and PNDM.

/** What a model was trained to predict. */
export type PredictionType = "epsilon" | "sample" | "v_prediction" | "flow_prediction";

/** The step at which the model ran. */
export interface NoiseLevel {
  /** Factor of the original, rounded to float32 before use. */
  alpha: number;
  /** Factor of the noise, rounded to float32 before use. */
  sigma: number;
}

/** A model's output and what it was computed from. */
export interface Prediction extends NoiseLevel {
  predictionType: PredictionType;
  modelOutput: Float32Array;
  latents: Float32Array;
}

/** The predicted original or noise ("epsilon"): a new array. */
export function convertModelOutput(
  to: "original" | "epsilon",
  prediction: Prediction,
): Float32Array<ArrayBuffer> {
  return to === "original" ? toOriginal(prediction) : toEpsilon(prediction);
}

const f32 = Math.fround;

function toOriginal(prediction: Prediction): Float32Array<ArrayBuffer> {
  const { predictionType, modelOutput: output, latents } = prediction;
  const alpha = f32(prediction.alpha);
  const sigma = f32(prediction.sigma);
  switch (predictionType) {
    case "epsilon":
      return latents.map((value, i) => f32(value - f32(sigma * output[i]!)) / alpha);
    case "sample":
      return new Float32Array(output);
    case "v_prediction":
      return latents.map((value, i) => f32(alpha * value) - f32(sigma * output[i]!));
    case "flow_prediction":
      return latents.map((value, i) => value - f32(sigma * output[i]!));
    default:
      throw new TypeError(
        `Cannot convert the output as its type is unknown: ${predictionType satisfies never}`,
      );
  }
}

function toEpsilon(prediction: Prediction): Float32Array<ArrayBuffer> {
  const { predictionType, modelOutput: output, latents } = prediction;
  const alpha = f32(prediction.alpha);
  const sigma = f32(prediction.sigma);
  switch (predictionType) {
    case "epsilon":
      return new Float32Array(output);
    case "sample":
      return latents.map((value, i) => f32(value - f32(alpha * output[i]!)) / sigma);
    case "v_prediction":
      return latents.map((value, i) => f32(alpha * output[i]!) + f32(sigma * value));
    case "flow_prediction":
      return latents.map((value, i) => value + f32(alpha * output[i]!));
    default:
      throw new TypeError(
        `Cannot convert the output as its type is unknown: ${predictionType satisfies never}`,
      );
  }
}
