// Compares our UNet pipelines with diffusers' where another scheduler or setting takes the
// place of the checkpoint's.
import { describe, it } from "@std/testing/bdd";
import { openPipeline } from "../../../../gpu-worker/model/open_pipeline.ts";
import { goldenPath, loadGoldens } from "../../../goldens/golden.ts";
import { ChangedCheckpoint } from "../../pipeline/changed_checkpoint.ts";
import {
  assertReference,
  changesCheckpoint,
  generateReference,
  referenceCalls,
} from "../../pipeline/reference_call.ts";

for (const name of ["sdxl/tiny-sdxl", "sdxl/tiny-sd15", "sdxl/tiny-sd21"]) {
  const goldens = loadGoldens(name);

  describe(`UNetPipeline.generate() on ${name} with another scheduler`, () => {
    for (const [id, call] of referenceCalls(name)) {
      if (!changesCheckpoint(call)) continue;
      const { scheduler, force_zeros_for_empty_prompt: zeros } = call;
      it(`gives diffusers' latents for ${id}`, async () => {
        const index = zeros === undefined ? {} : { force_zeros_for_empty_prompt: zeros };
        using changed = new ChangedCheckpoint(goldenPath(name), { scheduler, index });
        using pipeline = await openPipeline(changed.folder);
        assertReference(await generateReference(pipeline, call), { id, goldens });
      });
    }
  });
}
