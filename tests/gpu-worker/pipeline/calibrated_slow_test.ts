// Pictures of method calibrated beside those of Spectrum.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { picturePsnr } from "../../../gpu-worker/cli/calibrate/picture_psnr.ts";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import type { GenerateOptions, Pipeline } from "../../../gpu-worker/pipeline/pipeline.ts";
import type { PartialRequest } from "../../../gpu-worker/request/generate_request.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";

let pipeline: Pipeline;
before(async () => {
  pipeline = await openPipeline("models/emoji");
});
after(() => pipeline[Symbol.dispose]());

async function draw(request: Partial<PartialRequest> = {}, options: GenerateOptions = {}) {
  const complete = completeRequest({ prompt: "red heart", seed: 42, ...request }, pipeline.description);
  return await pipeline.generate(complete, options);
}

describe("a run of method calibrated", () => {
  it("is nearer to all steps in full than Spectrum at equal passes, recorded or not", async () => {
    // At 31 steps the plan is stretched and the products are interpolated.
    for (const [steps, least] of [[50, 3], [31, 1]] as const) {
      const gains: number[] = [];
      for (const prompt of ["owl", "a crab", "strawberry on a yellow background"]) {
        const full = await draw({ prompt, steps, sampler: { method: "none" } });
        const calibrated = await draw({ prompt, steps, sampler: { passes: 9 } });
        const spectrum = await draw({ prompt, steps, sampler: { method: "spectrum", passes: 9 } });
        gains.push(picturePsnr(full, calibrated) - picturePsnr(full, spectrum));
      }
      const gain = gains.reduce((sum, value) => sum + value, 0) / gains.length;
      assert.ok(gain > least, `${steps} steps: ${gain} dB, ${gains}`);
    }
  });
});
