import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { liveHandles, ProviderUnavailableError, Runtime } from "../../../gpu-worker/runtime/mod.ts";
import { identityModel } from "../../../gpu-worker/runtime/identity_model.ts";
import { openOrtApi } from "../../../gpu-worker/runtime/ort_api.ts";
import { ortLibraryPath } from "../../../gpu-worker/runtime/ort_library.ts";
import "../../software_gpu.ts";

const hasCudaLibrary = existsSync(join(dirname(ortLibraryPath()), "libonnxruntime_providers_cuda.so"));

describe("Runtime", () => {
  it("open() gives everything back on dispose, twice included", () => {
    const before = liveHandles();
    const runtime = Runtime.open({ provider: "cpu" });
    assert.equal(runtime.provider, "cpu");
    assert.equal(liveHandles().Env, (before.Env ?? 0) + 1);
    runtime[Symbol.dispose]();
    runtime[Symbol.dispose]();
    assert.deepEqual(liveHandles(), before);
    assert.throws(() => runtime.allocate("float32", [1]), /Cannot use the runtime as it has been disposed/);
  });

  it("open() says how to get CUDA where its library is absent, and keeps nothing", {
    skip: hasCudaLibrary && "the CUDA provider library is installed",
  }, () => {
    const before = liveHandles();
    assert.throws(() => Runtime.open({ provider: "cuda" }), (error) => {
      assert(error instanceof ProviderUnavailableError);
      assert.equal(error.provider, "cuda");
      assert.match(
        error.message,
        /^Cannot use the provider 'cuda': Failed to load .*libonnxruntime_providers/,
      );
      if (Deno.build.os === "linux") {
        assert.match(error.remedy, /onnxruntime-gpu of the same version .* SPECTRUM_ORT_LIBRARY.* CUDA 13/);
      }
      return true;
    });
    assert.deepEqual(liveHandles(), before);
  });

  for (const provider of ["cuda", "webgpu"] as const) {
    it(`open() computes on ${provider} where it is to be had, else refuses with a remedy`, async () => {
      let runtime;
      try {
        runtime = Runtime.open({ provider });
      } catch (error) {
        assert(error instanceof ProviderUnavailableError);
        assert(error.remedy.length > 0);
        return;
      }
      using _ = runtime;
      await copiesThroughDevice(runtime);
    });
  }

  it("openOrtApi() says which library it could not load, and how to get it", () => {
    const path = join(Deno.cwd(), "no-such-folder", "libonnxruntime.so");
    assert.throws(() => openOrtApi(path), {
      message: /Cannot load ONNX Runtime from '.*no-such-folder.*'deno install'.*SPECTRUM_ORT_LIBRARY/,
    });
  });
});

async function copiesThroughDevice(runtime: Runtime): Promise<void> {
  using history = runtime.allocate("float32", [2, 3]);
  assert.equal(history.location, runtime.provider);
  await history.write(Float32Array.of(1, 2, 3, 4, 5, 6));
  assert.throws(() => history.data(), /use toArray\(\)/);
  using session = await runtime.createSession(identityModel("float32"));
  using source = runtime.tensor("float32", [3], Float32Array.of(7, 8, 9));
  using slot = history.view(0, [3]);
  await session.run({ source }, { outputs: { target: slot } });
  assert.deepEqual([...await history.toArray()], [7, 8, 9, 4, 5, 6]);
  source.data().set([10, 11, 12]);
  using target = (await session.run({ source })).target!.as("float32");
  assert.deepEqual([...await target.toArray()], [10, 11, 12]);
}
