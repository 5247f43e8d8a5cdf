import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { BlockHistory } from "../../../gpu-worker/denoiser/block_history.ts";
import { openHistory } from "../../../gpu-worker/denoiser/open_history.ts";
import { SeparateHistory } from "../../../gpu-worker/denoiser/separate_history.ts";
import { featureSum } from "../../../gpu-worker/graph/feature_sum.ts";
import { type DType, liveHandles, Runtime } from "../../../gpu-worker/runtime/mod.ts";

describe("BlockHistory", () => {
  it("slot() writes in place, and forecasts() reads it", async () => {
    using runtime = Runtime.open();
    using history = new BlockHistory(runtime, { slots: 3, dims: [2, 4], dtype: "float32" });
    assert.equal(history.slotBytes, 32);
    for (const [index, value] of [5, 6].entries()) {
      const slot = history.slot(index);
      assert.deepEqual(slot.dims, [2, 4]);
      slot.as("float32").data().fill(value);
    }
    using weights = runtime.tensor("float32", [1, 2], new Float32Array(2));
    const { feeds, compute } = history.forecasts(weights);
    assert.equal(compute, undefined);
    assert.equal(feeds["forecast_weights"], weights);
    const filled = feeds["history"]!;
    assert.deepEqual(filled.dims, [2, 2, 4]);
    assert.deepEqual([...filled.as("float32").data()], [...Array(8).fill(5), ...Array(8).fill(6)]);
    assert.equal(history.forecasts(weights).feeds["history"], filled);
    assert.deepEqual([...(await history.toArray())].slice(-8), Array(8).fill(0));
  });

  it("keeps nothing without slots, and frees its features", async () => {
    using runtime = Runtime.open();
    const before = liveHandles();
    const none = new BlockHistory(runtime, { slots: 0, dims: [1, 4], dtype: "float16" });
    assert.equal((await none.toArray()).length, 0);
    const some = new BlockHistory(runtime, { slots: 2, dims: [1, 4], dtype: "float16" });
    for (const history of [none, some]) history[Symbol.dispose]();
    assert.deepEqual(liveHandles(), before);
  });
});

describe("SeparateHistory", () => {
  const FEATURES = [[1, 2, 3, 4], [10, 20, 30, 40], [0.5, -0.5, 0.25, 0]];

  for (const dtype of ["float32", "float16"] as const) {
    it(`forecasts() sums up the stored features in ${dtype}`, async () => {
      using runtime = Runtime.open();
      using session = await runtime.createSession(featureSum(dtype));
      const before = liveHandles();
      {
        using history = new SeparateHistory(runtime, {
          slots: 3,
          dims: [2, 2],
          dtype,
          featureSum: session,
        });
        assert.equal(history.slotBytes, dtype === "float32" ? 16 : 8);
        // A slot that is stored again has the later feature.
        history.store(1, featureOf(runtime, dtype, [9, 9, 9, 9]));
        for (const [slot, values] of FEATURES.entries()) {
          assert.equal(history.slot(), undefined);
          history.store(slot, featureOf(runtime, dtype, values));
        }
        const values = [[1, 0.5, 0], [-2, 0, 4], [0.25, 1, -1]];
        using weights = runtime.tensor("float32", [3, 3], Float32Array.from(values.flat()));
        using owned = new DisposableStack();
        const feeds = await history.forecasts(weights).compute!({ owned, signal: undefined });
        assert.deepEqual(feeds["history"]!.dims, [3, 2, 2]);
        assert.equal(feeds["history"]!.dtype, dtype);
        const identity = [1, 0, 0, 0, 1, 0, 0, 0, 1];
        assert.deepEqual([...await feeds["forecast_weights"]!.as("float32").toArray()], identity);
        const expected = values.flatMap((weights) =>
          FEATURES[0]!.map((_, i) =>
            weights.reduce((sum, weight, slot) => sum + weight * FEATURES[slot]![i]!, 0)
          )
        );
        const actual = await feeds["history"]!.toArray();
        // The sums are exact in either type.
        assert.deepEqual(Array.from(actual as Float32Array), expected);
        assert.deepEqual([...await history.toArray()], FEATURES.flat());
      }
      assert.deepEqual(liveHandles(), before);
    });
  }
});

describe("openHistory()", () => {
  it("keeps a tensor for each pass where tensors have no addresses, and needs featureSum then", () => {
    // Not opened, as WebGPU is not available everywhere.
    const runtime = { provider: "webgpu", traits: { hasAddresses: false } } as Runtime;
    const options = { slots: 2, dims: [1, 4], dtype: "float32" } as const;
    assert.throws(() => openHistory(runtime, { ...options, featureSum: undefined }), {
      name: "TypeError",
      message: "Cannot keep features on webgpu as the graph featureSum is not loaded",
    });
    const featureSum = { inputNames: [], run: () => Promise.reject(new Error("not called")) };
    using history = openHistory(runtime, { ...options, featureSum });
    assert(history instanceof SeparateHistory);
  });
});

function featureOf(runtime: Runtime, dtype: DType, values: number[]) {
  const data = dtype === "float16" ? Float16Array.from(values) : Float32Array.from(values);
  return runtime.tensor<DType>(dtype, [2, 2], data);
}
