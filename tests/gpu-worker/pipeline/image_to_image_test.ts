// Compares image to image with diffusers' img2img pipelines: every recorded call, and the
// rules of `image` and `strength`.
import type { DecodedImage } from "../../../gpu-worker/media/decoded_image.ts";
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { openPipeline } from "../../../gpu-worker/model/open_pipeline.ts";
import type { Pipeline } from "../../../gpu-worker/pipeline/pipeline.ts";
import { goldenPath, loadGoldens } from "../../goldens/golden.ts";
import { ChangedCheckpoint } from "./changed_checkpoint.ts";
import { assertReference, generateReference, type ReferenceCall, referenceCalls } from "./reference_call.ts";
import { completeRequest } from "../../../gpu-worker/request/complete_request.ts";

const IMAGE: DecodedImage = {
  width: 24,
  height: 16,
  data: loadGoldens("img2img").floats("input.image"),
};

const CHECKPOINTS = {
  "img2img/tiny-dev": "flux/tiny-dev",
  "img2img/tiny-large": "sd3/tiny-large",
  "img2img/tiny-sd15": "sdxl/tiny-sd15",
  "img2img/tiny-sdxl": "sdxl/tiny-sdxl",
  "img2img/tiny-base": "z_image/tiny-base",
};

for (const [name, checkpoint] of Object.entries(CHECKPOINTS)) {
  describe(`Pipeline.generate() from an image on ${checkpoint}`, () => {
    const goldens = loadGoldens(name);
    const folder = goldenPath(checkpoint);
    let pipeline: Pipeline;
    before(async () => {
      pipeline = await openPipeline(folder);
    });
    after(() => pipeline[Symbol.dispose]());

    for (const [id, call] of referenceCalls(name) as [string, ReferenceCall & { run_steps?: number }][]) {
      it(`gives diffusers' latents for ${id}`, async () => {
        const { scheduler, run_steps: steps } = call;
        using changed = scheduler && new ChangedCheckpoint(folder, { scheduler });
        using other = changed && await openPipeline(changed.folder);
        const result = await generateReference(other ?? pipeline, call, { image: IMAGE });
        assertReference(result, { id, goldens });
        if (steps !== undefined) assert.equal(result.plan.length, steps);
      });
    }
  });
}

describe("completeRequest() with an image", () => {
  let pipeline: Pipeline;
  before(async () => {
    pipeline = await openPipeline(goldenPath("flux/tiny-dev"));
  });
  after(() => pipeline[Symbol.dispose]());
  const request = { prompt: "a cat", seed: 1, steps: 20, image: IMAGE };

  it("takes the size from the image, and the strength from the family", () => {
    const { width, height, startImage } = completeRequest(request, pipeline.description);
    assert.deepEqual([width, height], [24, 16]);
    assert.equal(startImage?.strength, 0.6);
    assert.equal(startImage?.firstStep, 8);
  });

  it("plans and forecasts the steps that are run", async () => {
    const indices: number[] = [];
    const complete = completeRequest(
      { ...request, sampler: { method: "spectrum", warmupSteps: 3 } },
      pipeline.description,
    );
    const { plan } = await pipeline.generate(complete, {
      onStep: ({ index, steps }) => void indices.push(index, steps),
    });
    assert.equal(plan.length, 12);
    assert(plan.includes("forecast"));
    assert.deepEqual([...indices.slice(0, 2), ...indices.slice(-2)], [0, 12, 11, 12]);
  });

  it("runs every step again where nothing but the image is left out", () => {
    assert.equal(completeRequest({ ...request, strength: 1 }, pipeline.description).startImage?.firstStep, 0);
  });

  const REFUSED: [change: object, message: RegExp][] = [
    [{ strength: 1.5 }, /'strength' must be in 0\.\.1: current value is 1\.5/],
    [{ strength: NaN }, /'strength' must be in 0\.\.1: current value is NaN/],
    [{ strength: 0 }, /'strength' must leave at least one of 20 steps to run: current value is 0/],
    [{ image: undefined, strength: 0.5 }, /'strength' takes an image/],
    [{ width: 32 }, /'image' must be 32x16 pixels: it is 24x16/],
    [{ image: { ...IMAGE, width: 23 } }, /'width' must be divisible by 4/],
  ];
  for (const [change, message] of REFUSED) {
    it(`refuses ${message.source}`, () => {
      assert.throws(() => completeRequest({ ...request, ...change }, pipeline.description), message);
    });
  }
});
