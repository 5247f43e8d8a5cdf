import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { liveHandles, NativeHandle } from "../../../gpu-worker/runtime/native_handle.ts";

describe("NativeHandle", () => {
  it("release() by the last owner releases the object, then its parents", () => {
    const before = liveHandles();
    const released: bigint[] = [];
    const release = (pointer: bigint) => void released.push(pointer);
    const parent = new NativeHandle("Session", 1n, { release });
    const child = new NativeHandle("Value", 2n, { parents: [parent], release });
    child.retain();
    parent.release();
    child.release();
    assert.deepEqual(released, []);
    assert.equal(child.pointer, 2n);
    child.release();
    assert.deepEqual(released, [2n, 1n]);
    assert.deepEqual(liveHandles(), before);
  });

  it("pointer, retain() and release() throw once the object is gone", () => {
    const handle = new NativeHandle("Env", 1n, { release: () => {} });
    handle.release();
    assert.throws(() => handle.pointer, /Cannot use the Env as it has been released/);
    assert.throws(() => handle.retain(), ReferenceError);
    assert.throws(() => handle.release(), /twice/);
  });
});
