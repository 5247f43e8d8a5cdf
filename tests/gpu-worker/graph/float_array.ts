// Splits and joins small float32 arrays with shapes, for tests of trunks and heads.
import type { OnnxModel } from "../../../gpu-worker/graph/graph_builder.ts";
import type { Goldens } from "../../goldens/golden.ts";
import { runGraph } from "./run_graph.ts";

export interface FloatArray {
  shape: readonly number[];
  data: Float32Array<ArrayBuffer>;
}

export type FloatArrays = Record<string, FloatArray>;

/** Returns a reference tensor. */
export function goldenArray(goldens: Goldens, name: string): FloatArray {
  return { shape: goldens.shape(name), data: goldens.floats(name) };
}

/** Returns one row. The first dimension stays, with size 1. */
export function row({ shape: [batch, ...shape], data }: FloatArray, index: number): FloatArray {
  const length = data.length / batch!;
  return { shape: [1, ...shape], data: data.slice(index * length, (index + 1) * length) };
}

const SHARED = /^rotary|^condition_|^picture_tokens$/;

/**
 * Applies `change` to the inputs that have a row for each picture or video: all but positions and the
 * number of tokens.
 */
export function mapRows(inputs: FloatArrays, change: (array: FloatArray) => FloatArray): FloatArrays {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, array]) => [name, SHARED.test(name) ? array : change(array)]),
  );
}

/** Returns a matrix of one row. */
export function matrix(values: number[]): FloatArray {
  return { shape: [1, values.length], data: Float32Array.from(values) };
}

/** Joins along the first dimension. */
export function concat(arrays: readonly FloatArray[]): FloatArray {
  const [, ...shape] = arrays[0]!.shape;
  const rows = arrays.reduce((sum, array) => sum + array.shape[0]!, 0);
  return { shape: [rows, ...shape], data: Float32Array.from(arrays.flatMap(({ data }) => [...data])) };
}

/** Joins along a new first dimension. */
export function stack(arrays: readonly FloatArray[]): FloatArray {
  return concat(arrays.map(({ shape, data }) => ({ shape: [1, ...shape], data })));
}

/**
 * Returns the inputs with all rows at the first row's timestep, as a head forecasts all branches of a step.
 */
export function atOneTime(inputs: FloatArrays): FloatArrays {
  const { shape, data } = inputs["timestep"]!;
  return { ...inputs, timestep: { shape, data: new Float32Array(data.length).fill(data[0]!) } };
}

export async function run(model: OnnxModel, inputs: FloatArrays): Promise<FloatArrays> {
  return await runGraph(model, inputs) as FloatArrays;
}
