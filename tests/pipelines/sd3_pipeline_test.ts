// StableDiffusion3Pipeline against diffusers': every recorded call, prompts, rules, and branches that stay apart.
import { after, before, describe, it } from "@std/testing/bdd";
import { openPipeline } from "../../gpu-worker/pipelines/open_pipeline.ts";
import type { Pipeline } from "../../gpu-worker/pipelines/pipeline.ts";
import { goldenPath, loadGoldens } from "../goldens/golden.ts";
import { assertReference, generateReference, referenceCalls } from "./_reference_call.ts";

for (const name of ["sd3/tiny-large", "sd3/tiny-medium"]) {
  describe(`Sd3Pipeline.generate() on ${name}`, () => {
    const goldens = loadGoldens(name);
    let pipeline: Pipeline;
    before(async () => {
      pipeline = await openPipeline(goldenPath(name));
    });
    after(() => pipeline[Symbol.dispose]());

    for (const [id, call] of referenceCalls(name)) {
      it(`gives diffusers' latents for ${id}`, async () =>
        assertReference(await generateReference(pipeline, call), { id, goldens }));
    }
  });
}
