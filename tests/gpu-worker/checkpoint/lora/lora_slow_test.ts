// LoRAs in kohya's names give diffusers' latents, which the checkpoint alone doesn't.
import { describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { openPipeline } from "../../../../gpu-worker/model/open_pipeline.ts";
import { goldenPath, loadGoldens } from "../../../goldens/golden.ts";
import { assertReference, generateReference, referenceCalls } from "../../pipeline/reference_call.ts";
import { LORA_CHECKPOINTS, loraFiles } from "./lora_checkpoints.ts";

for (const [family, checkpoint] of Object.entries(LORA_CHECKPOINTS)) {
  const [[id, call]] = referenceCalls(`lora/${family}`) as [ReturnType<typeof referenceCalls>[0]];
  const goldens = loadGoldens(`lora/${family}`);

  describe(`openPipeline() of ${checkpoint}`, () => {
    it("gives diffusers' latents for 0.7 kohya - 0.3 detail", async () => {
      using pipeline = await openPipeline(goldenPath(checkpoint), { loras: loraFiles(family, "kohya") });
      assertReference(await generateReference(pipeline, call), { id, goldens });
    });

    it("gives other latents without LoRAs", async () => {
      using pipeline = await openPipeline(goldenPath(checkpoint));
      const result = await generateReference(pipeline, call);
      assert.throws(() => assertReference(result, { id, goldens }), /latents: error/);
    });
  });
}
