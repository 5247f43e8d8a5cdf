import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { type Dim, GraphBuilder, type OnnxModel } from "../../../../../gpu-worker/graph/graph_builder.ts";
import { featureOutput } from "../../../../../gpu-worker/graph/layers/head/feature_output.ts";
import type { DType } from "../../../../../gpu-worker/runtime/dtype.ts";
import { maxError } from "../../../../goldens/golden.ts";
import { Runtime } from "../../../../../gpu-worker/runtime/mod.ts";
import { runGraph } from "../../run_graph.ts";

/** Sums of some hundred float32 squares. */
const TOLERANCE = 1e-5;

/** Returns a trunk that does nothing: its input "given" is its feature. */
function idleTrunk({ dims, dtype }: { dims: readonly Dim[]; dtype: DType }): OnnxModel {
  const graph = new GraphBuilder({ name: "idle_trunk", weights: new Map(), dtype });
  featureOutput(graph, graph.node("Identity", [graph.input("given", ["batch", ...dims])]), dims);
  return graph.build();
}

describe("featureOutput()", () => {
  for (
    const { kind, dims, sizes } of [
      { kind: "token", dims: ["image_tokens", 6], sizes: [5, 6] },
      { kind: "image", dims: [4, "height", "width"], sizes: [4, 3, 7] },
    ]
  ) {
    it(`gives each row's distance between weighted sum and truth, ${kind} features`, async () => {
      const shape = [2, ...sizes];
      const length = shape.reduce((product, size) => product * size);
      const slots = [0, 1, 2].map((slot) =>
        Float32Array.from({ length }, (_, i) => Math.cos(i * (slot + 1) + slot))
      );
      const truth = Float32Array.from({ length }, (_, i) => Math.sin(i * 3 + 1));
      const weights = [0.7, -1.2, 0.4];
      const forecast = slots[0]!.map((_, i) =>
        weights.reduce((sum, weight, slot) => sum + weight * slots[slot]![i]!, 0)
      );
      const rows = [0, 1].map((row) => [row * length / 2, (row + 1) * length / 2] as const);
      const normsOf = (values: Float32Array) => rows.map((row) => Math.hypot(...values.subarray(...row)));

      const { forecast_distance: distance, feature_norm: norm } = await runGraph(
        idleTrunk({ dims, dtype: "float32" }),
        {
          forecast_weights: { shape: [1, 3], data: Float32Array.from(weights) },
          history: { shape: [3, ...shape], data: Float32Array.from(slots.flatMap((slot) => [...slot])) },
          given: { shape, data: truth },
        },
      );
      assert.deepEqual([distance!.shape, norm!.shape], [[2], [2]]);
      const expected = normsOf(forecast.map((x, i) => x - truth[i]!));
      assert(maxError(distance!.data, expected) <= TOLERANCE);
      assert(maxError(norm!.data, normsOf(truth)) <= TOLERANCE);
    });
  }

  it("combines a float16 history with float32 weights", async () => {
    using runtime = Runtime.open();
    using session = await runtime.createSession(
      idleTrunk({ dims: ["tokens", 8], dtype: "float16" }),
    );
    const length = 1000;
    const slots = [0, 1].map((slot) =>
      Float16Array.from({ length }, (_, i) => Math.cos(i) + Math.sin(i) * slot / 4)
    );
    // Large weights that nearly cancel. Rounded to float16, they would be off by 2e-3.
    const weights = Float32Array.of(50.1, -49.11);
    const exact = Float16Array.from(
      slots[0]!,
      (_, i) => weights[0]! * slots[0]![i]! + weights[1]! * slots[1]![i]!,
    );
    const shape = [1, length / 8, 8];
    const outputs = await session.run({
      forecast_weights: runtime.tensor("float32", [1, 2], weights),
      history: runtime.tensor("float16", [2, ...shape], Float16Array.of(...slots[0]!, ...slots[1]!)),
      given: runtime.tensor("float16", shape, exact),
    });
    // Forecast and truth are each rounded to 11 bits.
    const read = (name: string) => outputs[name]!.as("float32").data()[0]!;
    assert(read("forecast_distance") / read("feature_norm") <= 2 ** -11);
    for (const tensor of Object.values(outputs)) tensor[Symbol.dispose]();
  });

  it("lets a pass without history pass", async () => {
    const data = Float32Array.of(1, 2, 3, 4);
    const { feature, forecast_distance: distance, feature_norm: norm } = await runGraph(
      idleTrunk({ dims: ["tokens", 2], dtype: "float32" }),
      {
        given: { shape: [1, 2, 2], data },
      },
    );
    assert.deepEqual(feature!.data, data);
    // The forecast of nothing is zero.
    assert.deepEqual(distance!.data, norm!.data);
  });
});
