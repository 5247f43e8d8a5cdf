import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { type DType, liveHandles, Runtime } from "../../../gpu-worker/runtime/mod.ts";
import { identityModel } from "../../../gpu-worker/runtime/identity_model.ts";

describe("Tensor", () => {
  it("tensor() looks at the array it was given", async () => {
    using runtime = Runtime.open();
    const array = Float32Array.of(0, 1, 2, 3);
    using tensor = runtime.tensor("float32", [3], array.subarray(1));
    assert.deepEqual([...tensor.data()], [1, 2, 3]);
    array[1] = 7;
    assert.deepEqual([...tensor.data()], [7, 2, 3]);
    assert.deepEqual(
      [tensor.dtype, tensor.dims, tensor.location, tensor.byteLength],
      ["float32", [3], "cpu", 12],
    );
    const copy = await tensor.toArray();
    array[1] = 8;
    assert.deepEqual([...copy], [7, 2, 3]);
  });

  it("tensor() hands the array's bytes to a graph, whatever its dtype", async () => {
    using runtime = Runtime.open();
    const arrays = {
      float32: Float32Array.of(1.5, -2),
      float16: Float16Array.of(0.5, 65504),
      float64: Float64Array.of(1e300, 2),
      int64: BigInt64Array.of(-1n, 2n ** 62n),
      int32: Int32Array.of(-3, 4),
      uint8: Uint8Array.of(255, 1),
      int8: Int8Array.of(-128, 1),
      bool: Uint8Array.of(1, 0),
    };
    for (const [dtype, array] of Object.entries(arrays)) {
      using session = await runtime.createSession(identityModel(dtype as DType));
      using source = runtime.tensor(dtype as DType, [2], array);
      using target = (await session.run({ source })).target!;
      assert.equal(target.dtype, dtype);
      assert.deepEqual(target.data(), array);
    }
  });

  it("tensor() refuses another array class, another length and a wrong shape", () => {
    using runtime = Runtime.open();
    assert.throws(() => runtime.tensor("bfloat16", [1], Float32Array.of(1) as never), {
      name: "TypeError",
      message: /of bfloat16 as its data must be a Uint16Array: current value is a Float32Array/,
    });
    assert.throws(() => runtime.tensor("float32", [2, 3], new Float32Array(5)), {
      name: "RangeError",
      message: /\[2,3\] as its data must have 6 elements: current value is 5/,
    });
    assert.throws(() => runtime.allocate("float32", [2, -1]), { name: "RangeError", message: /\[2,-1\]/ });
    assert.throws(() => runtime.allocate("float32", [1.5]), RangeError);
  });

  it("allocate() gives zeros, also for scalars and for nothing", () => {
    using runtime = Runtime.open();
    using tensor = runtime.allocate("float16", [2, 2]);
    assert.deepEqual(tensor.data(), new Float16Array(4));
    using scalar = runtime.allocate("int64", []);
    assert.deepEqual(scalar.data(), BigInt64Array.of(0n));
    using empty = runtime.allocate("float32", [0, 3]);
    assert.equal(empty.data().length, 0);
  });

  it("run() takes and returns tensors without elements", async () => {
    using runtime = Runtime.open();
    using session = await runtime.createSession(identityModel("float32"));
    using source = runtime.tensor("float32", [0], new Float32Array(0));
    using target = (await session.run({ source })).target!;
    assert.deepEqual([target.dims, target.as("float32").data().length], [[0], 0]);
  });

  it("view() shares memory and outlives its parent", async () => {
    const before = liveHandles();
    const runtime = Runtime.open();
    const history = runtime.tensor("float32", [3, 2], Float32Array.of(0, 1, 2, 3, 4, 5));
    const slot = history.view(8, [2]);
    const last = slot.view(4, [1]);
    assert.deepEqual([...slot.data()], [2, 3]);
    await slot.write(Float32Array.of(20, 30));
    assert.deepEqual([...history.data()], [0, 1, 20, 30, 4, 5]);
    history[Symbol.dispose]();
    slot[Symbol.dispose]();
    runtime[Symbol.dispose]();
    assert.deepEqual([...last.data()], [30]);
    last[Symbol.dispose]();
    assert.deepEqual(liveHandles(), before);
  });

  it("view() refuses to leave its tensor", () => {
    using runtime = Runtime.open();
    using tensor = runtime.allocate("float32", [4]);
    for (const [byteOffset, count] of [[4, 4], [-4, 1], [2, 1], [16, 1]] as const) {
      assert.throws(() => tensor.view(byteOffset, [count]), {
        name: "RangeError",
        message: new RegExp(`\\[${count}\\] at byte ${byteOffset} .* float32 \\[4\\] of 16 bytes`),
      });
    }
  });

  it("write() refuses another size", async () => {
    using runtime = Runtime.open();
    using tensor = runtime.allocate("float32", [2]);
    await assert.rejects(tensor.write(new Float32Array(3)), RangeError);
  });

  it("as() refuses another dtype", () => {
    using runtime = Runtime.open();
    using tensor = runtime.allocate("float32", [2]);
    assert.equal(tensor.as("float32"), tensor);
    assert.throws(() => tensor.as("float16"), /Cannot use float32 \[2\] as float16/);
  });

  it("dispose() empties arrays over ONNX Runtime's memory, ends all use, and may be repeated", async () => {
    using runtime = Runtime.open();
    using session = await runtime.createSession(identityModel("float32"));
    using source = runtime.tensor("float32", [2], Float32Array.of(1, 2));
    const target = (await session.run({ source })).target!.as("float32");
    const array = target.data();
    const part = target.view(4, [1]);
    target[Symbol.dispose]();
    target[Symbol.dispose]();
    assert.deepEqual([...array], [1, 2], "the view keeps the memory");
    part[Symbol.dispose]();
    assert.equal(array.length, 0);
    assert.throws(() => target.data(), /Cannot use the tensor float32 \[2\] as it has been disposed/);
    assert.throws(() => target.view(0, [1]), ReferenceError);
    await assert.rejects(session.run({ source: target }), ReferenceError);
  });
});
