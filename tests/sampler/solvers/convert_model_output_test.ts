import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { convertModelOutput, type PredictionType } from "../../../sampler/solvers/convert_model_output.ts";

describe("convertModelOutput()", () => {
  // Sums and products of these are exact in float32, so there is no tolerance.
  const original = Float32Array.of(1, -2, 0.5);
  const noise = Float32Array.of(4, 0.25, -1);
  const mix = (a: number, b: number) => original.map((value, i) => a * value + b * noise[i]!);

  const CASES: [PredictionType, alpha: number, sigma: number, output: Float32Array][] = [
    ["epsilon", 0.5, 0.25, noise],
    ["sample", 0.5, 0.25, original],
    // The velocity of a rotation needs alpha^2 + sigma^2 = 1.
    ["v_prediction", 0, 1, mix(-1, 0)],
    ["v_prediction", 1, 0, mix(0, 1)],
    ["flow_prediction", 0.75, 0.25, mix(-1, 1)],
  ];
  for (const [predictionType, alpha, sigma, modelOutput] of CASES) {
    it(`finds original and noise: ${predictionType}, alpha ${alpha}, sigma ${sigma}`, () => {
      const prediction = { predictionType, alpha, sigma, modelOutput, latents: mix(alpha, sigma) };
      assert.deepEqual([...convertModelOutput("original", prediction)], [...original]);
      assert.deepEqual([...convertModelOutput("epsilon", prediction)], [...noise]);
    });
  }
});
