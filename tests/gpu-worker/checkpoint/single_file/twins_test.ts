// Runs single files that have the numbers of the tiny checkpoints. diffusers' from_single_file reads the same files
// to the same tensors (make_twins.py checks it), so the checkpoints' goldens are also diffusers' results of the files.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { openPipeline } from "../../../../gpu-worker/model/open_pipeline.ts";
import { loadGoldens } from "../../../goldens/golden.ts";
import { assertReference, generateReference, referenceCalls } from "../../pipeline/reference_call.ts";
import { Twin } from "./twin.ts";

const TWINS = {
  "sd15": "sdxl/tiny-sd15",
  "sd21": "sdxl/tiny-sd21",
  "sdxl": "sdxl/tiny-sdxl",
  "flux-dev": "flux/tiny-dev",
  "flux-schnell": "flux/tiny-schnell",
};

for (const [name, golden] of Object.entries(TWINS)) {
  describe(`a single file in the names of ${name}`, () => {
    const [id, call] = referenceCalls(golden).find(([, call]) => call.scheduler === undefined)!;

    it(`gives diffusers' latents and the folder's bytes for ${id}`, async () => {
      using twin = new Twin(name);
      using file = await openPipeline(twin.path, { parts: { components: twin.folder } });
      const result = await generateReference(file, call);
      assertReference(result, { id, goldens: loadGoldens(golden) });
      using folder = await openPipeline(twin.folder);
      const same = await generateReference(folder, call);
      assert.deepEqual(result.latents.data, same.latents.data);
      assert.deepEqual(result.image.data, same.image.data);
      assert.notEqual(file.model.digest, folder.model.digest);
    });
  });
}
