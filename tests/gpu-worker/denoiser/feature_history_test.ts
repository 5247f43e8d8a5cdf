import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { FeatureHistory } from "../../../gpu-worker/denoiser/feature_history.ts";
import { liveHandles, Runtime } from "../../../gpu-worker/runtime/mod.ts";

describe("FeatureHistory", () => {
  it("slot() writes what filled() reads, in place", async () => {
    using runtime = Runtime.open();
    using history = new FeatureHistory(runtime, { slots: 3, dims: [2, 4], dtype: "float32" });
    assert.equal(history.slotBytes, 32);
    for (const [index, value] of [5, 6].entries()) {
      const slot = history.slot(index);
      assert.deepEqual(slot.dims, [2, 4]);
      slot.as("float32").data().fill(value);
    }
    const filled = history.filled(2);
    assert.deepEqual(filled.dims, [2, 2, 4]);
    assert.deepEqual([...filled.as("float32").data()], [...Array(8).fill(5), ...Array(8).fill(6)]);
    assert.equal(history.filled(2), filled);
    assert.deepEqual([...(await history.toArray())].slice(-8), Array(8).fill(0));
  });

  it("keeps nothing without slots, and frees what it kept", async () => {
    using runtime = Runtime.open();
    const before = liveHandles();
    const none = new FeatureHistory(runtime, { slots: 0, dims: [1, 4], dtype: "float16" });
    assert.equal((await none.toArray()).length, 0);
    const some = new FeatureHistory(runtime, { slots: 2, dims: [1, 4], dtype: "float16" });
    for (const history of [none, some]) history[Symbol.dispose]();
    assert.deepEqual(liveHandles(), before);
  });

  it("refuses a device whose buffers have no addresses", () => {
    // Not opened, as WebGPU is not available everywhere.
    const runtime = { provider: "webgpu" } as Runtime;
    assert.throws(() => new FeatureHistory(runtime, { slots: 2, dims: [1, 4], dtype: "float32" }), {
      name: "RangeError",
      message: /Cannot keep 2 features on webgpu .* 'method' must be none/,
    });
  });
});
