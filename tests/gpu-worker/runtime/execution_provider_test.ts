import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { appendExecutionProvider } from "../../../gpu-worker/runtime/execution_provider.ts";
import { readCString } from "../../../gpu-worker/runtime/c_string.ts";
import type { OrtApi } from "../../../gpu-worker/runtime/ort_api.ts";

describe("appendExecutionProvider()", () => {
  it("keeps the CUDA options until the native call has read them", () => {
    const collectGarbage = exposeGarbageCollector();
    const read: Record<string, string> = {};
    const calls: string[] = [];
    const api = {
      CreateCUDAProviderOptions: (cell) => void (cell as BigUint64Array).fill(7n),
      UpdateCUDAProviderOptions: (options, keys, values, count) => {
        calls.push(`update ${options}`);
        const [keyAddresses, valueAddresses] = [[...keys as BigUint64Array], [...values as BigUint64Array]];
        // Unreferenced memory is collected and reused.
        collectGarbage();
        const others = Array.from({ length: 5_000 }, () => new Uint8Array(new ArrayBuffer(32)).fill(88));
        for (let i = 0; i < count; i++) {
          read[readCString(keyAddresses[i]!)] = readCString(valueAddresses[i]!);
        }
        assert.equal(others.length, 5_000);
      },
      SessionOptionsAppendExecutionProvider_CUDA_V2: (session, options) =>
        void calls.push(`append ${options} to ${session}`),
      ReleaseCUDAProviderOptions: (options) => void calls.push(`release ${options}`),
    } as Partial<OrtApi> as OrtApi;
    for (let deviceId = 0; deviceId < 20; deviceId++) {
      appendExecutionProvider(api, 5n, { provider: "cuda", deviceId });
      assert.deepEqual(read, {
        arena_extend_strategy: "kSameAsRequested",
        cudnn_conv_algo_search: "HEURISTIC",
        device_id: String(deviceId),
      });
    }
    assert.deepEqual(calls.slice(0, 3), ["update 7", "append 7 to 5", "release 7"]);
  });

  it("gives WebGPU no options, and names the remedy if it is refused", () => {
    const api = {
      SessionOptionsAppendExecutionProvider: (_session, name, _keys, _values, count) => {
        assert.deepEqual([new TextDecoder().decode(name), count], ["WebGPU\0", 0]);
        throw new Error("no adapter");
      },
    } as Partial<OrtApi> as OrtApi;
    assert.throws(() => appendExecutionProvider(api, 5n, { provider: "webgpu", deviceId: 0 }), {
      name: "ProviderUnavailableError",
      message: /^Cannot use the provider 'webgpu': no adapter\. .*--device cpu$/,
    });
  });
});

function exposeGarbageCollector(): () => void {
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("globalThis.gc");
  assert(typeof collect === "function", "V8 gives no garbage collector");
  return () => collect();
}
