// Compares our SD3 pipeline with diffusers' StableDiffusion3Pipeline: every recorded call;
// previews, rules, rejected checkpoints.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { openPipeline } from "../../../../gpu-worker/model/open_pipeline.ts";
import type { Pipeline } from "../../../../gpu-worker/pipeline/pipeline.ts";
import type { PartialRequest } from "../../../../gpu-worker/request/generate_request.ts";
import { goldenPath, maxError } from "../../../goldens/golden.ts";
import { referenceCases } from "../../pipeline/reference_cases.ts";
import { type RefusedCheckpoint, refusedCheckpoints } from "../../pipeline/refused_checkpoints.ts";
import { completeRequest } from "../../../../gpu-worker/request/complete_request.ts";

for (const name of ["sd3/tiny-large", "sd3/tiny-medium"]) {
  describe(`Sd3Pipeline.generate() on ${name}`, () => {
    const pipeline = referenceCases(name);

    const request: PartialRequest = {
      prompt: "a red heart",
      seed: 1,
      steps: 12,
      width: 24,
      height: 16,
      maxSequenceLength: 8,
      sampler: { method: "spectrum", warmupSteps: 3 },
    };

    it("gives the same picture under skip-layer guidance of scale 0, forecasts included", async () => {
      const skipLayerGuidance = { layers: [1], start: 0.2, stop: 0.8 };
      const draw = async (scale?: number) => {
        const skip = scale === undefined ? undefined : { ...skipLayerGuidance, scale };
        return await pipeline().generate(
          completeRequest({ ...request, skipLayerGuidance: skip }, pipeline().description),
        );
      };
      const [without, zero, two] = [await draw(), await draw(0), await draw(2)];
      assert.ok(zero.plan.slice(3, 9).includes("forecast"));
      // The rounding differs: without skip-layer guidance, guidance and sums of steps are
      // computed before the projection.
      assert.ok(maxError(zero.latents.data, without.latents.data) <= 2e-6);
      assert.ok(maxError(two.latents.data, without.latents.data) > 0.01, "scale 2 changes the picture");
    });

    it("gives previews at the asked steps", async () => {
      const seen: [number, number, number][] = [];
      await pipeline().generate(completeRequest(request, pipeline().description), {
        previewSteps: new Set([2, 7]),
        onPreview: (index, { width, height }) => void seen.push([index, width, height]),
      });
      assert.deepEqual(seen, [[2, 24, 16], [7, 24, 16]]);
    });

    it("ends with the signal's reason", async () => {
      const controller = new AbortController();
      const running = pipeline().generate(completeRequest(request, pipeline().description), {
        signal: controller.signal,
        onStep: ({ index }) => void (index === 1 && controller.abort(new Error("enough"))),
      });
      await assert.rejects(running, /enough/);
    });
  });
}

describe("completeRequest() of Sd3Pipeline", () => {
  let pipeline: Pipeline;
  before(async () => {
    pipeline = await openPipeline(goldenPath("sd3/tiny-large"));
  });
  after(() => pipeline[Symbol.dispose]());
  const complete = (fields: object) =>
    completeRequest({ prompt: "x", seed: 0, ...fields }, pipeline.description);

  it("fills in the settings that Spectrum was published with, at the transformer's sample_size", () => {
    const { steps, guidanceScale, trueCfgScale, width, height, maxSequenceLength } = complete({});
    const published = [50, 7, 1, 16, 16, 256];
    assert.deepEqual([steps, guidanceScale, trueCfgScale, width, height, maxSequenceLength], published);
  });

  const REFUSED: [fields: object, message: RegExp][] = [
    [{ width: 18 }, /'width' must be divisible by 4: current value is 18/],
    [{ height: 40 }, /'height' must be a whole number in 4\.\.36: current value is 40/],
    [{ maxSequenceLength: 513 }, /'maxSequenceLength'.*1\.\.512.*513/],
    [{ trueCfgScale: 2 }, /'trueCfgScale' must be 1/],
    [{ guidanceScale: 1, negativePrompt: "y" }, /'negativePrompt' takes 'guidanceScale' > 1.* 1$/],
    [{ skipLayerGuidance: { layers: [2] } }, /'skipLayerGuidance' takes layers in 0\.\.1.*\[2\]/],
    [
      { skipLayerGuidance: { layers: [0] }, guidanceScale: 1 },
      /'skipLayerGuidance' takes 'guidanceScale' > 1/,
    ],
  ];
  for (const [fields, message] of REFUSED) {
    it(`refuses ${JSON.stringify(fields)}`, () => assert.throws(() => complete(fields), { message }));
  }
});

describe("readSd3Checkpoint()", () => {
  const REFUSED: RefusedCheckpoint[] = [
    [{ transformer: { pooled_projection_dim: 17 } }, /'pooled_projection_dim' must be .*\(18\).* 17/],
    [{ transformer: { joint_attention_dim: 19 } }, /'joint_attention_dim' must have room .*\(20\).* 19/],
    [{ transformer: { joint_attention_dim: 25 } }, /'joint_attention_dim' must be the T5 .*\(24\).* 25/],
    [{ transformer: { in_channels: 8 } }, /'out_channels' must be 'in_channels' \(8\).* 16/],
    [{ transformer: { in_channels: 8, out_channels: 8 } }, /'in_channels' must be .*\(16\).* 8/],
    [{ scheduler: { _class_name: "FlowMatchEulerDiscreteScheduler", shift: "three" } }, /shift.*three/],
    [{ scheduler: { _class_name: "DDIMScheduler" } }, /'scheduler' must be FlowMatchEuler.*DDIMScheduler$/],
    [
      { index: { text_encoder_2: ["transformers", "CLIPTextModel"] } },
      /'text_encoder_2' must be CLIPTextModelWithProjection.*CLIPTextModel$/,
    ],
  ];
  refusedCheckpoints(goldenPath("sd3/tiny-large"), REFUSED);
});
