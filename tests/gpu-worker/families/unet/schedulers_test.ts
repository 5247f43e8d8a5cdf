// A request's scheduler in place of the checkpoint's: diffusers' latents with
// X.from_config(pipe.scheduler.config).
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { openPipeline } from "../../../../gpu-worker/model/open_pipeline.ts";
import type { Pipeline } from "../../../../gpu-worker/pipeline/pipeline.ts";
import { completeRequest } from "../../../../gpu-worker/request/complete_request.ts";
import { toWire } from "../../../../gpu-worker/request/wire_settings.ts";
import { goldenPath, loadGoldens, maxError } from "../../../goldens/golden.ts";

const KARRAS = { use_karras_sigmas: true, timestep_spacing: "linspace" };
/** The options that the goldens' schedulers were made with, beside the checkpoint's own. */
const CASES: Record<string, [id: string, name: string, options: Record<string, unknown>][]> = {
  "tiny-sdxl": [
    ["EulerAncestralDiscrete", "EulerAncestralDiscreteScheduler", {}],
    ["DDIM", "DDIMScheduler", { clip_sample: false }],
    ["DPMSolverMultistep", "DPMSolverMultistepScheduler", {}],
    ["UniPCMultistep", "UniPCMultistepScheduler", {}],
    ["karras", "EulerDiscreteScheduler", KARRAS],
  ],
  "tiny-sd15": [
    ["DDIM", "DDIMScheduler", { clip_sample: false }],
    ["EulerDiscrete", "EulerDiscreteScheduler", {}],
    ["DPMSolverMultistep", "DPMSolverMultistepScheduler", {}],
  ],
};

for (const [checkpoint, cases] of Object.entries(CASES)) {
  describe(`schedulers on ${checkpoint}`, () => {
    const folder = `sdxl/${checkpoint}`;
    const goldens = loadGoldens(folder);
    const calls = JSON.parse(Deno.readTextFileSync(goldenPath(`${folder}/goldens.json`))).cases;
    let pipeline: Pipeline;
    before(async () => {
      pipeline = await openPipeline(goldenPath(folder));
    });
    after(() => pipeline[Symbol.dispose]());

    for (const [id, name, options] of cases) {
      it(`give diffusers' latents for ${id}`, async () => {
        const { seed, prompt, guidance_scale: guidanceScale, num_inference_steps: steps, width, height } =
          calls[`picture.${id}`];
        const request = completeRequest({
          ...{ seed, prompt, guidanceScale, steps, width, height },
          sampler: { method: "none" },
          scheduler: { name, options },
        }, pipeline.description);
        const { latents } = await pipeline.generate(request);
        assert.ok(maxError(latents.data, goldens.floats(`picture.${id}.latents`)) <= 1e-4);
      });
    }
  });
}

describe("completeRequest() with a scheduler", () => {
  let sdxl: Pipeline;
  let v: Pipeline;
  let flux: Pipeline;
  before(async () => {
    sdxl = await openPipeline(goldenPath("sdxl/tiny-sdxl"));
    v = await openPipeline(goldenPath("sdxl/tiny-sd21"));
    flux = await openPipeline(goldenPath("flux/tiny-dev"));
  });
  after(() => [sdxl, v, flux].forEach((pipeline) => pipeline[Symbol.dispose]()));
  const complete = (pipeline: Pipeline, name: string | undefined, options = {}) =>
    completeRequest({ prompt: "x", seed: 1, scheduler: { name, options } }, pipeline.description);

  it("omits the checkpoint's own settings, so that equal pictures have equal keys", () => {
    assert.equal(complete(sdxl, "EulerDiscreteScheduler").scheduler, undefined);
    assert.equal(complete(sdxl, undefined, { steps_offset: 1 }).scheduler, undefined);
    const { scheduler, scheduler_options } = toWire(complete(sdxl, undefined, { use_karras_sigmas: true }));
    assert.deepEqual([scheduler, scheduler_options], ["EulerDiscreteScheduler", { use_karras_sigmas: true }]);
  });

  it("keeps the checkpoint's prediction type", () => {
    assert.equal(complete(v, "EulerDiscreteScheduler").scheduler?.name, "EulerDiscreteScheduler");
  });

  const REFUSED: [string, () => Pipeline, string | undefined, object, RegExp][] = [
    ["an unknown class", () => sdxl, "Heun", {}, /'Heun' is not one of DDIMScheduler, /],
    [
      "an unknown option",
      () => sdxl,
      "DDIMScheduler",
      { use_karras_sigmas: true },
      /no option 'use_karras_sigmas'/,
    ],
    [
      "a wrong value",
      () => sdxl,
      undefined,
      { use_karras_sigmas: "yes" },
      /'use_karras_sigmas'.*must be a boolean/,
    ],
    ["flow for noise", () => sdxl, "FlowMatchEulerDiscreteScheduler", {}, /predicts epsilon/],
    ["another prediction type", () => v, undefined, { prediction_type: "epsilon" }, /predicts v_prediction/],
    ["noise for flow", () => flux, "EulerDiscreteScheduler", {}, /predicts flow_prediction.*use_flow_sigmas/],
  ];
  for (const [what, pipeline, name, options, message] of REFUSED) {
    it(`refuses ${what}`, () => {
      assert.throws(() => complete(pipeline(), name, options), (error) => {
        assert.match((error as Error).message, /^Cannot generate as 'scheduler' does not fit: /);
        assert.match((error as Error).message, message);
        return true;
      });
    });
  }

  it("refuses prompt weights where the model has none", () => {
    assert.throws(
      () => completeRequest({ prompt: "(x)", seed: 1, promptWeights: true }, flux.description),
      /'promptWeights' must be left out with this model/,
    );
  });
});
