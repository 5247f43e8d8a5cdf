import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { linesOf } from "../../../gpu-worker/cli/devices/devices.ts";
import { withSupportedDtype } from "../../../gpu-worker/model/with_supported_dtype.ts";
import { describeDevice, DeviceLostError, deviceName } from "../../../gpu-worker/runtime/mod.ts";
import { NO_SOFTWARE_GPU } from "../../software_gpu.ts";

describe("describeDevice()", () => {
  it("knows the CPU, its memory and its type", async () => {
    const { problem, dtypes, memoryBytes } = await describeDevice("cpu");
    assert.deepEqual([problem, dtypes], [undefined, ["float32"]]);
    assert(memoryBytes! > 2 ** 20);
    assert.match(await deviceName("cpu"), /^cpu/);
  });

  it("says why a provider is missing, and names the remedy", async () => {
    const device = await describeDevice("cuda");
    if (device.problem === undefined) return;
    assert.deepEqual(device.dtypes, []);
    assert.match(linesOf(device), /^--device cuda: .*\n {2}Cannot use the provider 'cuda'/);
  });

  it("names SwiftShader, which has no float16", { skip: NO_SOFTWARE_GPU !== false }, async () => {
    const device = await describeDevice("webgpu");
    assert.match(device.name!, /SwiftShader/);
    assert.deepEqual(device.dtypes, ["float32"]);
    assert.match(linesOf(device), /^--device webgpu: SwiftShader.*\n {2}--dtype float32$/);
  });
});

describe("withSupportedDtype()", () => {
  it("takes float32 and says so where the adapter has no float16", {
    skip: NO_SOFTWARE_GPU !== false,
  }, async () => {
    const notes: string[] = [];
    const warn = (note: string) => notes.push(note);
    const asked = { provider: "webgpu", dtype: "float16" } as const;
    assert.equal((await withSupportedDtype(asked, warn)).dtype, "float32");
    assert.match(notes.join(), /no shader-f16.*float32 instead/);
  });

  it("opens no device for other types and providers", async () => {
    for (const asked of [{ provider: "cpu" }, { provider: "cuda", dtype: "float16" }] as const) {
      assert.equal(await withSupportedDtype(asked, assert.fail), asked);
    }
  });
});

describe("DeviceLostError", () => {
  it("is meant by messages of Dawn and of ONNX Runtime", () => {
    const lost = [
      "WebGPU device lost (1): reset",
      '[Device "x"] is lost.',
      "wgpu::MapAsyncStatus DeviceLost",
    ];
    for (const message of lost) assert(DeviceLostError.isMeantBy(message), message);
    assert(!DeviceLostError.isMeantBy("Program Cast requires f16 but the device does not support it"));
  });
});
