// Test cases for the graphs of every transformer: the trunk against diffusers, the head against the trunk.
import { it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import type { OnnxModel } from "../../../gpu-worker/graph/graph_builder.ts";
import type { DType } from "../../../gpu-worker/runtime/mod.ts";
import { type Goldens, maxError } from "../../goldens/golden.ts";
import {
  atOneTime,
  concat,
  type FloatArray,
  type FloatArrays,
  mapRows,
  matrix,
  row,
  run,
  stack,
} from "./float_array.ts";
import { HalfGraphs } from "./half_graphs.ts";
import { runHead } from "./run_head.ts";

export interface TransformerUnderTest {
  build: (dtype: DType) => Record<"trunk" | "head" | "modulation", OnnxModel>;
  goldens: Goldens;
  /** Returns the trunk's inputs of a reference call. */
  inputsOf: (call: string) => FloatArrays;
  /** Names of reference calls. @default "start" and "batch", which has two rows at two timesteps */
  calls?: readonly string[];
  /** Inputs of the modulation that the trunk does not have. @default none */
  further?: FloatArrays;
}

/** Both sides compute in float32, but sum in another order, which a hundred layers magnify to about 1e-6. */
export const TOLERANCE = 1e-5;

export function transformerCases(
  { build, goldens, inputsOf, calls = ["start", "batch"], further }: TransformerUnderTest,
): void {
  const graphs = build("float32");
  const trunk = async (inputs: FloatArrays) =>
    await run(graphs.trunk, inputs) as { feature: FloatArray; output: FloatArray };
  const head = (inputs: FloatArrays) => runHead(graphs, { ...further, ...inputs });
  const golden = (name: string) => goldens.floats(`transformer.${name}`);

  for (const call of calls) {
    it(`trunk gives diffusers' feature and output, '${call}' inputs`, async () => {
      const { feature, output } = await trunk(inputsOf(call));
      assert.deepEqual(output.shape, goldens.shape(`transformer.${call}.output`));
      assert(maxError(feature.data, golden(`${call}.feature`)) <= TOLERANCE);
      assert(maxError(output.data, golden(`${call}.output`)) <= TOLERANCE);
    });
  }

  it("trunk computes each row of a batch as it would alone", async () => {
    const inputs = inputsOf("batch");
    const { output: together } = await trunk(inputs);
    for (const index of [0, 1]) {
      const { output: alone } = await trunk(mapRows(inputs, (array) => row(array, index)));
      assert(maxError(alone.data, row(together, index).data) <= TOLERANCE);
    }
  });

  it("head gives the trunk's output where the weights select one slot", async () => {
    const inputs = atOneTime(inputsOf("batch"));
    const { feature, output } = await trunk(inputs);
    const other = changed(feature, (x) => 3 - x);
    const actual = await head({
      ...atStep(inputs),
      forecast_weights: matrix([0, 1]),
      history: stack([other, feature]),
    });
    assert.deepEqual(actual.shape, output.shape);
    assert(maxError(actual.data, output.data) <= TOLERANCE);
  });

  it("head forecasts the weighted sum of the history", async () => {
    const inputs = atOneTime(inputsOf("batch"));
    const { feature } = await trunk(inputs);
    const other = changed(feature, (x, i) => Math.sin(i) - x);
    const sum = changed(feature, (x, i) => 1.75 * other.data[i]! - 0.5 * x);
    const actual = await head({
      ...atStep(inputs),
      forecast_weights: matrix([-0.5, 1.75]),
      history: stack([feature, other]),
    });
    const expected = await head({ ...atStep(inputs), forecast_weights: matrix([1]), history: stack([sum]) });
    assert(maxError(actual.data, expected.data) <= TOLERANCE);
  });

  it("head forecasts several steps in one run as it would one by one, step-major", async () => {
    const first = atOneTime(inputsOf("batch"));
    // Other latents at another timestep, with the same prompts.
    const second = {
      ...first,
      hidden_states: changed(first["hidden_states"]!, (x) => x * 0.9),
      timestep: changed(first["timestep"]!, (x) => x * 0.9),
    };
    const steps = [
      { ...atStep(first), forecast_weights: matrix([0.25, 0.625]) },
      { ...atStep(second), forecast_weights: matrix([-0.5, 1.5]) },
    ];
    const history = stack([(await trunk(first)).feature, (await trunk(second)).feature]);
    const expected = [];
    for (const step of steps) expected.push(await head({ ...step, history }));
    const actual = await head({
      ...first,
      timestep: concat(steps.map(({ timestep }) => timestep)),
      forecast_weights: concat(steps.map(({ forecast_weights }) => forecast_weights)),
      history,
    });
    assert.deepEqual(actual.shape, concat(expected).shape);
    assert(maxError(actual.data, concat(expected).data) <= TOLERANCE);
  });

  it("head gives the sums of its rows that it is asked for", async () => {
    const inputs = atOneTime(inputsOf("batch"));
    const { feature } = await trunk(inputs);
    const all = {
      ...atStep(inputs),
      forecast_weights: matrix([0.25, 0.625]),
      history: stack([feature, changed(feature, (x, i) => Math.sin(i) - x)]),
    };
    const rows = await head(all);
    // Guidance with scale 3, and half of a single row.
    const weights = { shape: [2, 2], data: Float32Array.of(3, -2, 0, 0.5) };
    const sums = await head({ ...all, output_weights: weights });
    const [a, b] = [row(rows, 0).data, row(rows, 1).data];
    const expected = [...a.map((x, i) => 3 * x - 2 * b[i]!), ...b.map((x) => x / 2)];
    assert.deepEqual(sums.shape, rows.shape);
    assert(maxError(sums.data, expected) <= TOLERANCE);
  });

  it("float16 graphs stay near float32, and their head near their trunk", async () => {
    using half = await HalfGraphs.open(build("float16"));
    const inputs = inputsOf("batch");
    const { output: reference } = await half.trunk(inputs);
    // 11 bits of mantissa through a dozen layers; diffusers' own float16 is off by 1e-3 to 4e-3.
    assert(maxError(reference, golden("batch.output")) <= 1e-2);

    const same = atOneTime(inputs);
    const { feature, output } = await half.trunk(same);
    assert.equal(feature.dtype, "float16");
    const forecast = await half.head(feature, { ...further, ...atStep(same) });
    // The same few float16 operations on the same feature.
    assert(maxError(forecast, output) <= 2e-3);
  });
}

/** Returns the inputs for the modulation, which has one timestep for all rows. */
function atStep(inputs: FloatArrays) {
  return { ...inputs, timestep: row(inputs["timestep"]!, 0) };
}

function changed({ shape, data }: FloatArray, change: (x: number, index: number) => number): FloatArray {
  return { shape, data: data.map(change) };
}
