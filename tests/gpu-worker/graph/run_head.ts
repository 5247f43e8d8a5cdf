// Runs the modulation and then the head, as OnnxDenoiser does.
import type { OnnxModel } from "../../../gpu-worker/graph/graph_builder.ts";
import { type FloatArray, type FloatArrays, run } from "./float_array.ts";

export interface HeadGraphs {
  head: OnnxModel;
  modulation?: OnnxModel;
}

/**
 * Runs modulation and head.
 * @param inputs the inputs of both
 * @returns the outputs that output_weights asks for; without it, one output for each row
 */
export async function runHead({ head, modulation }: HeadGraphs, inputs: FloatArrays): Promise<FloatArray> {
  const [steps] = inputs["forecast_weights"]!.shape;
  const [, batch] = inputs["history"]!.shape;
  const modulated = modulation ? await run(modulation, inputsFor(modulation, inputs)) : {};
  const { output } = await run(head, {
    output_weights: identity(steps! * batch!),
    ...inputsFor(head, inputs),
    ...modulated,
  });
  return output!;
}

/** Returns the inputs that the graph declares. */
export function inputsFor({ inputNames }: OnnxModel, inputs: FloatArrays): FloatArrays {
  return Object.fromEntries(Object.entries(inputs).filter(([name]) => inputNames.includes(name)));
}

/** Returns the identity matrix, [size, size]. */
export function identity(size: number): FloatArray {
  const data = new Float32Array(size * size);
  for (let i = 0; i < size; i++) data[i * (size + 1)] = 1;
  return { shape: [size, size], data };
}
