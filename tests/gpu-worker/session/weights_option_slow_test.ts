// Pictures with weights of fewer bits: near the ones of the checkpoint's own type, and
// the same from the store.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import type { OpenPipelineOptions } from "../../../gpu-worker/model/open_pipeline_options.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";
import { goldenPath } from "../../goldens/golden.ts";
import { TempFolder } from "../../temp_folder.ts";
import { storedFiles } from "./stored_files.ts";

describe("openPipeline() with --weights", () => {
  const request = { prompt: "red heart", seed: 3, steps: 4, width: 16, height: 16 };

  async function draw(name: string, options: OpenPipelineOptions): Promise<Float32Array> {
    using pipeline = await openPipeline(goldenPath(name), options);
    assert.equal(pipeline.model.weights, options.weights ?? "as-stored");
    const frames = name.startsWith("wan/") || name.startsWith("hunyuan") ? { numFrames: 5 } : {};
    const complete = completeRequest({ ...request, ...frames }, pipeline.description);
    return (await pipeline.generate(complete)).latents.data.slice();
  }

  function error(actual: Float32Array, expected: Float32Array): number {
    const norm = (values: Float32Array) => Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0));
    return norm(actual.map((value, i) => value - expected[i]!)) / norm(expected);
  }

  for (
    const name of [
      "flux/tiny-dev",
      "sd3/tiny-large",
      "sdxl/tiny-sdxl",
      "hunyuan_video/tiny-distilled",
    ]
  ) {
    it(`draws nearly the same with ${name}, once from the files and once from the store`, async () => {
      using folder = new TempFolder();
      const kept = folder.join("kept");
      const plain = await draw(name, {});
      const int8 = await draw(name, { weights: "int8", weightCache: kept });
      const stored = storedFiles(kept);
      assert.ok(stored.length >= 1);
      assert.deepEqual(await draw(name, { weights: "int8", weightCache: kept, offload: true }), int8);
      assert.deepEqual(storedFiles(kept), stored);
      const int4 = await draw(name, { weights: "int4" });
      const [error8, error4] = [error(int8, plain), error(int4, plain)];
      assert.ok(error8 > 0 && error8 < 0.02, `int8: ${error8}`);
      assert.ok(error4 > error8 && error4 < 0.3, `int4: ${error4}`);
    });
  }

  it("leaves rows that are shorter than a block as stored", async () => {
    const plain = await draw("wan/tiny-unipc", {});
    assert.deepEqual(await draw("wan/tiny-unipc", { weights: "int8" }), plain);
  });

  for (
    const [name, file] of [["flux/tiny-dev", "flux/style"], ["flux2/tiny-base", "names/flux2/lokr"]] as const
  ) {
    it(`draws lora/${file} beside weights in 8 bits`, async () => {
      const loras = [{ path: goldenPath(`lora/${file}.safetensors`), weight: 1 }];
      const plain = await draw(name, {});
      const full = await draw(name, { loras });
      const int8 = await draw(name, { loras, weights: "int8" });
      const rounding = error(int8, full);
      assert.ok(rounding > 0 && rounding < 0.02 && error(full, plain) > 5 * rounding, `${rounding}`);
    });
  }
});
