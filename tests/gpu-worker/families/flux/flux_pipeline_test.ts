// Compares our FLUX pipeline with diffusers' FluxPipeline: every recorded call, from prompt to picture.
import { after, before, describe, it } from "@std/testing/bdd";
import { openPipeline } from "../../../../gpu-worker/model/open_pipeline.ts";
import type { Pipeline } from "../../../../gpu-worker/pipeline/pipeline.ts";
import { goldenPath, loadGoldens } from "../../../goldens/golden.ts";
import { assertReference, generateReference, referenceCalls } from "../../pipeline/reference_call.ts";

const CHECKPOINTS = {
  "flux/tiny-dev": goldenPath("flux/tiny-dev"),
  "flux/tiny-schnell": goldenPath("flux/tiny-schnell"),
  "emoji": "models/emoji",
};

for (const [name, folder] of Object.entries(CHECKPOINTS)) {
  describe(`FluxPipeline.generate() on ${name}`, () => {
    const goldens = loadGoldens(name);
    let pipeline: Pipeline;
    before(async () => {
      pipeline = await openPipeline(folder);
    });
    after(() => pipeline[Symbol.dispose]());

    for (const [id, call] of referenceCalls(name)) {
      it(`gives diffusers' latents for ${id}`, async () =>
        assertReference(await generateReference(pipeline, call), { id, goldens }));
    }
  });
}
