// Compares our Wan pipeline with diffusers' WanPipeline: every recorded call;
// previews, rules, rejected checkpoints.
import { after, before, describe, it } from "@std/testing/bdd";
import assert from "node:assert/strict";
import { openPipeline } from "../../../../gpu-worker/model/open_pipeline.ts";
import type { Pipeline } from "../../../../gpu-worker/pipeline/pipeline.ts";
import type { PartialRequest } from "../../../../gpu-worker/request/generate_request.ts";
import { readModel } from "../../../../gpu-worker/model/read_model.ts";
import { liveHandles } from "../../../../gpu-worker/runtime/mod.ts";
import { goldenPath, loadGoldens } from "../../../goldens/golden.ts";
import { ChangedCheckpoint, type CheckpointChanges } from "../../pipeline/changed_checkpoint.ts";
import { assertReference, generateReference, referenceCalls } from "../../pipeline/reference_call.ts";
import { completeRequest } from "../../../../gpu-worker/request/complete_request.ts";

for (const name of ["wan/tiny-unipc", "wan/tiny-euler"]) {
  describe(`WanPipeline.generate() on ${name}`, () => {
    const goldens = loadGoldens(name);
    let pipeline: Pipeline;
    before(async () => {
      pipeline = await openPipeline(goldenPath(name));
    });
    after(() => pipeline[Symbol.dispose]());

    for (const [id, call] of referenceCalls(name)) {
      it(`gives diffusers' latents and frames for ${id}`, async () =>
        assertReference(await generateReference(pipeline, call), { id, goldens }));
    }

    const request: PartialRequest = {
      prompt: "a red heart",
      seed: 1,
      steps: 12,
      width: 32,
      height: 16,
      numFrames: 9,
      maxSequenceLength: 8,
      sampler: { method: "spectrum", warmupSteps: 3 },
    };

    it("gives a video of the asked length and rate, and its middle frame as the picture", async () => {
      const { video, image } = await pipeline.generate(
        completeRequest({ ...request, fps: 12.5 }, pipeline.description),
      );
      const { frames, ...rest } = video!;
      assert.deepEqual(rest, { width: 32, height: 16, fps: 12.5 });
      assert.deepEqual(frames.map(({ length }) => length), Array(9).fill(32 * 16 * 3));
      const red = Math.min(1, Math.max(0, image.data[5]! / 2 + 0.5)) * 255;
      assert.ok(Math.abs(red - frames[4]![5 * 3]!) <= 0.5);
    });

    it("gives previews at the asked steps", async () => {
      const seen: [number, number, number][] = [];
      await pipeline.generate(completeRequest(request, pipeline.description), {
        previewSteps: new Set([2, 7]),
        onPreview: (index, { width, height }) => void seen.push([index, width, height]),
      });
      assert.deepEqual(seen, [[2, 32, 16], [7, 32, 16]]);
    });

    it("ends with the signal's reason and holds no tensor of the run", async () => {
      using pipeline = await openPipeline(goldenPath(name));
      const before = liveHandles();
      const controller = new AbortController();
      const running = pipeline.generate(completeRequest(request, pipeline.description), {
        signal: controller.signal,
        onStep: ({ index }) => void (index === 1 && controller.abort(new Error("enough"))),
      });
      await assert.rejects(running, /enough/);
      assert.deepEqual(liveHandles(), before);
    });
  });
}

describe("completeRequest() of WanPipeline", () => {
  let pipeline: Pipeline;
  before(async () => {
    pipeline = await openPipeline(goldenPath("wan/tiny-euler"));
  });
  after(() => pipeline[Symbol.dispose]());
  const complete = (fields: object) =>
    completeRequest(
      { prompt: "x", seed: 0, width: 32, height: 32, numFrames: 3, ...fields },
      pipeline.description,
    );

  it("fills in Wan2.1's published settings", async () => {
    using published = await openPipeline(goldenPath("wan/tiny-unipc"));
    const { prompt: _prompt, seed: _seed, sampler: _sampler, ...settings } = completeRequest({
      prompt: "x",
      seed: 0,
    }, published.description);
    assert.deepEqual(settings, {
      negativePrompt: "",
      steps: 50,
      width: 832,
      height: 480,
      numFrames: 81,
      fps: 16,
      guidanceScale: 5,
      trueCfgScale: 1,
      guidanceRescale: 0,
      maxSequenceLength: 512,
    });
  });

  const REFUSED: [fields: object, message: RegExp][] = [
    [{ width: 24 }, /'width' must be divisible by 16: current value is 24/],
    // 12 positions of one row of patches, four pixels each.
    [{ height: 64 }, /'height' must be a whole number in 16\.\.48: current value is 64/],
    [{ numFrames: 4 }, /'numFrames' must be a multiple of 2 plus 1: current value is 4/],
    [{ numFrames: 25 }, /'numFrames' must be a whole number in 1\.\.23: current value is 25/],
    [{ maxSequenceLength: 513 }, /'maxSequenceLength'.*1\.\.512.*513/],
    [{ trueCfgScale: 2 }, /'trueCfgScale' must be 1/],
    [{ guidanceScale: 1, negativePrompt: "y" }, /'negativePrompt' takes 'guidanceScale' > 1.* 1$/],
    [{ skipLayerGuidance: { layers: [0] } }, /'skipLayerGuidance'/],
  ];
  for (const [fields, message] of REFUSED) {
    it(`refuses ${JSON.stringify(fields)}`, () => assert.throws(() => complete(fields), { message }));
  }
});

describe("readWanCheckpoint()", () => {
  const REFUSED: [changes: CheckpointChanges, message: RegExp][] = [
    [
      { index: { transformer_2: ["diffusers", "WanTransformer3DModel"] } },
      /Wan2\.2 is not supported: 'transformer_2' must be absent: current value is WanTransformer3DModel$/,
    ],
    [
      { index: { boundary_ratio: 0.875 } },
      /Wan2\.2 .*'boundary_ratio' must be null: current value is 0\.875$/,
    ],
    [{ index: { expand_timesteps: true } }, /Wan2\.2 .*'expand_timesteps' must be false/],
    [{ transformer: { text_dim: 19 } }, /'text_dim' must be the text encoder's 'd_model' \(20\).* 19$/],
    [{ transformer: { in_channels: 36 } }, /'in_channels' must be the autoencoder's 'z_dim' \(16\).* 36$/],
    [{ transformer: { out_channels: 8 } }, /'out_channels' must be 'in_channels' \(16\).* 8$/],
    [{ transformer: { image_dim: 1280 } }, /'image_dim'.*start from an image/],
    [
      { index: { text_encoder: ["transformers", "T5EncoderModel"] } },
      /'text_encoder' must be UMT5EncoderModel.*T5EncoderModel$/,
    ],
    [
      { index: { scheduler: ["diffusers", "EulerDiscreteScheduler"] } },
      /'scheduler' must be UniPCMultistepScheduler or FlowMatchEulerDiscreteScheduler/,
    ],
  ];
  for (const [changes, message] of REFUSED) {
    it(`refuses ${JSON.stringify(changes)}`, () => {
      using checkpoint = new ChangedCheckpoint(goldenPath("wan/tiny-unipc"), changes);
      assert.throws(() => readModel(checkpoint.folder), { message });
    });
  }
});
